//! Every query about settings and presets, organization first.

use std::collections::HashMap;

use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::config::{Config, Unread};
use super::defaults::{Defaults, Missing, Ready};
use super::preset::{Author, Preset, Status, Version};
use super::settings::Settings;
use crate::base::ids::{OrgId, PersonId, PresetId};
use crate::routing::Sort;

/// # Errors
/// Database errors only.
pub async fn settings(conn: &mut PgConnection, org: OrgId) -> Result<Settings, sqlx::Error> {
    let row = sqlx::query!(
        "select allowed, enforced, ignored, sort, default_model from routing_settings where org_id = $1",
        org.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map_or_else(Settings::default, |row| {
        Settings::stored(row.allowed, row.enforced, row.ignored, row.sort.as_deref(), row.default_model)
    }))
}

pub async fn save_settings(conn: &mut PgConnection, org: OrgId, settings: &Settings) -> Result<(), sqlx::Error> {
    let policy = &settings.policy;
    sqlx::query!(
        "insert into routing_settings (org_id, allowed, enforced, ignored, sort, default_model)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (org_id) do update set allowed = excluded.allowed, enforced = excluded.enforced,
            ignored = excluded.ignored, sort = excluded.sort, default_model = excluded.default_model, updated_at = now()",
        org.0,
        &policy.allowed,
        policy.enforced,
        &policy.ignored,
        policy.sort.map(Sort::as_str),
        settings.default_model.as_deref(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// What calls read, of one moment: one statement for the presets, and settings that are a row of their own.
pub async fn defaults(conn: &mut PgConnection, org: OrgId) -> Result<Defaults, sqlx::Error> {
    let settings = settings(conn, org).await?;
    let rows = sqlx::query!(
        r#"select p.id as "id: PresetId", p.slug, p.name, p.description, p.status, p.version, p.created_at,
            v.system_prompt, v.config
           from preset p
           join preset_version v on v.org_id = p.org_id and v.preset_id = p.id and v.version = p.version
           where p.org_id = $1"#,
        org.0,
    )
    .fetch_all(conn)
    .await?;
    let (mut ready, mut missing) = (Vec::new(), HashMap::new());
    for row in rows {
        if Status::stored(&row.status) == Status::Archived {
            missing.insert(row.slug, Missing::Archived);
            continue;
        }
        let (config, unread) = Config::stored(row.config);
        if let Some(Unread { flaws, .. }) = unread {
            let fields: Vec<&str> = flaws.iter().map(|flaw| flaw.field.as_str()).collect();
            let (preset, version) = (&row.slug, row.version);
            tracing::error!(%org, %preset, version, ?fields, "a preset cannot be read, so calls with it are refused");
            missing.insert(row.slug, Missing::Unread);
            continue;
        }
        ready.push(Ready {
            id: row.id,
            slug: row.slug,
            name: row.name,
            description: row.description,
            version: row.version,
            created: row.created_at.timestamp(),
            system_prompt: row.system_prompt,
            preferences: config.preferences(),
            models: config.models,
            parameters: config.parameters,
            max_tokens: config.max_tokens,
            max_cost: config.max_cost,
        });
    }
    Ok(Defaults::new(settings, ready, missing))
}

/// How many presets there are, archived ones too.
///
/// # Errors
/// Database errors only.
pub async fn count(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from preset where org_id = $1"#, org.0).fetch_one(conn).await
}

struct Row {
    org: OrgId,
    id: PresetId,
    slug: String,
    name: String,
    description: String,
    status: String,
    status_changed_at: Option<chrono::DateTime<chrono::Utc>>,
    version: i32,
    created_by: Option<PersonId>,
    author: Option<String>,
    created_at: chrono::DateTime<chrono::Utc>,
    updated_at: chrono::DateTime<chrono::Utc>,
}

impl From<Row> for Preset {
    fn from(row: Row) -> Preset {
        Preset {
            org: row.org,
            id: row.id,
            slug: row.slug,
            name: row.name,
            description: row.description,
            status: Status::stored(&row.status),
            status_changed_at: row.status_changed_at,
            version: row.version,
            author: Author { id: row.created_by, name: row.author },
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A preset in a list, with the number and the config of the version that calls get.
pub struct Listed {
    pub preset: Preset,
    pub version: Uuid,
    pub config: Config,
}

/// Those of one state, changed last first.
///
/// # Errors
/// Database errors only.
pub async fn list(
    conn: &mut PgConnection,
    org: OrgId,
    status: Status,
    offset: i64,
    limit: i64,
) -> Result<Vec<Listed>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"select p.id as "id: PresetId", p.slug, p.name, p.description, p.status, p.status_changed_at, p.version,
            p.created_by as "created_by: PersonId", a.name as "author?", p.created_at, p.updated_at,
            v.id as version_id, v.config
           from preset p
           join preset_version v on v.org_id = p.org_id and v.preset_id = p.id and v.version = p.version
           left join person a on a.id = p.created_by
           where p.org_id = $1 and p.status = $2
           order by p.updated_at desc, p.id desc offset $3 limit $4"#,
        org.0,
        status.as_str(),
        offset,
        limit,
    )
    .fetch_all(conn)
    .await?;
    let listed = rows.into_iter().map(|row| Listed {
        preset: Preset {
            org,
            id: row.id,
            slug: row.slug,
            name: row.name,
            description: row.description,
            status: Status::stored(&row.status),
            status_changed_at: row.status_changed_at,
            version: row.version,
            author: Author { id: row.created_by, name: row.author },
            created_at: row.created_at,
            updated_at: row.updated_at,
        },
        version: row.version_id,
        config: Config::stored(row.config).0,
    });
    Ok(listed.collect())
}

/// How many presets are in use.
///
/// # Errors
/// Database errors only.
pub async fn count_active(conn: &mut PgConnection, org: OrgId) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar!(r#"select count(*) as "count!" from preset where org_id = $1 and status = 'active'"#, org.0)
        .fetch_one(conn)
        .await
}

/// # Errors
/// Database errors only.
pub async fn find(conn: &mut PgConnection, org: OrgId, id: PresetId) -> Result<Option<Preset>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"select p.org_id as "org: OrgId", p.id as "id: PresetId", p.slug, p.name, p.description, p.status,
            p.status_changed_at, p.version, p.created_by as "created_by: PersonId", a.name as "author?", p.created_at,
            p.updated_at
           from preset p left join person a on a.id = p.created_by where p.org_id = $1 and p.id = $2"#,
        org.0,
        id.0,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Preset::from))
}

/// # Errors
/// Database errors only.
pub async fn find_by_slug(conn: &mut PgConnection, org: OrgId, slug: &str) -> Result<Option<Preset>, sqlx::Error> {
    let id =
        sqlx::query_scalar!(r#"select id as "id: PresetId" from preset where org_id = $1 and slug = $2"#, org.0, slug,)
            .fetch_optional(&mut *conn)
            .await?;
    match id {
        Some(id) => find(conn, org, id).await,
        None => Ok(None),
    }
}

/// A preset that nobody else changes until the transaction ends.
pub struct Locked {
    /// The one that calls get.
    pub version: i32,
    pub newest: i32,
    pub status: Status,
    pub name: String,
    pub description: String,
    pub updated_at: chrono::DateTime<chrono::Utc>,
}

/// Takes the lock under which a preset changes.
pub async fn lock(conn: &mut PgConnection, org: OrgId, id: PresetId) -> Result<Option<Locked>, sqlx::Error> {
    let row = sqlx::query!(
        "select version, status, name, description, updated_at from preset where org_id = $1 and id = $2 for update",
        org.0,
        id.0,
    )
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let newest = sqlx::query_scalar!(
        r#"select max(version) as "newest!" from preset_version where org_id = $1 and preset_id = $2"#,
        org.0,
        id.0,
    )
    .fetch_one(conn)
    .await?;
    Ok(Some(Locked {
        version: row.version,
        newest,
        status: Status::stored(&row.status),
        name: row.name,
        description: row.description,
        updated_at: row.updated_at,
    }))
}

/// # Errors
/// Database errors; a unique violation for a slug or an id that is taken.
pub async fn insert(
    conn: &mut PgConnection,
    org: OrgId,
    id: PresetId,
    slug: &str,
    name: &str,
    description: &str,
    author: Option<PersonId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into preset (org_id, id, slug, name, description, version, created_by) values ($1, $2, $3, $4, $5, 1, $6)",
        org.0,
        id.0,
        slug,
        name,
        description,
        author.map(|person| person.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn insert_version(
    conn: &mut PgConnection,
    org: OrgId,
    preset: PresetId,
    version: i32,
    system_prompt: &str,
    config: &Config,
    author: Option<PersonId>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "insert into preset_version (org_id, preset_id, version, id, system_prompt, config, created_by)
         values ($1, $2, $3, $4, $5, $6, $7)",
        org.0,
        preset.0,
        version,
        PresetId::fresh().0,
        system_prompt,
        Value::Object(config.to_map()),
        author.map(|person| person.0),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes what a preset is called and which version calls get.
pub async fn update(
    conn: &mut PgConnection,
    org: OrgId,
    id: PresetId,
    name: &str,
    description: &str,
    version: i32,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update preset set name = $3, description = $4, version = $5, updated_at = now() where org_id = $1 and id = $2",
        org.0,
        id.0,
        name,
        description,
        version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Changes which version calls get, and nothing else.
pub async fn set_version(conn: &mut PgConnection, org: OrgId, id: PresetId, version: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update preset set version = $3, updated_at = now() where org_id = $1 and id = $2",
        org.0,
        id.0,
        version,
    )
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn set_status(conn: &mut PgConnection, org: OrgId, id: PresetId, status: Status) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "update preset set status = $3, status_changed_at = now(), updated_at = now() where org_id = $1 and id = $2",
        org.0,
        id.0,
        status.as_str(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

struct VersionRow {
    id: Uuid,
    version: i32,
    system_prompt: String,
    config: Value,
    created_by: Option<PersonId>,
    author: Option<String>,
    created_at: chrono::DateTime<chrono::Utc>,
}

impl From<VersionRow> for Version {
    fn from(row: VersionRow) -> Version {
        let (config, unread) = Config::stored(row.config);
        Version {
            id: row.id,
            number: row.version,
            system_prompt: row.system_prompt,
            config,
            unread,
            author: Author { id: row.created_by, name: row.author },
            created_at: row.created_at,
        }
    }
}

/// # Errors
/// Database errors only.
pub async fn version(
    conn: &mut PgConnection,
    org: OrgId,
    preset: PresetId,
    version: i32,
) -> Result<Option<Version>, sqlx::Error> {
    let row = sqlx::query_as!(
        VersionRow,
        r#"select v.id, v.version, v.system_prompt, v.config, v.created_by as "created_by: PersonId",
            a.name as "author?", v.created_at
           from preset_version v left join person a on a.id = v.created_by
           where v.org_id = $1 and v.preset_id = $2 and v.version = $3"#,
        org.0,
        preset.0,
        version,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Version::from))
}

/// Newest first, from before `before` on.
///
/// # Errors
/// Database errors only.
pub async fn versions(
    conn: &mut PgConnection,
    org: OrgId,
    preset: PresetId,
    before: Option<i32>,
    limit: i64,
) -> Result<Vec<Version>, sqlx::Error> {
    let rows = sqlx::query_as!(
        VersionRow,
        r#"select v.id, v.version, v.system_prompt, v.config, v.created_by as "created_by: PersonId",
            a.name as "author?", v.created_at
           from preset_version v left join person a on a.id = v.created_by
           where v.org_id = $1 and v.preset_id = $2 and ($3::integer is null or v.version < $3)
           order by v.version desc limit $4"#,
        org.0,
        preset.0,
        before,
        limit,
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(VersionRow::into).collect())
}

/// Erases everything of an organization that ends.
///
/// # Errors
/// Database errors only.
pub async fn erase(conn: &mut PgConnection, org: OrgId) -> Result<(), sqlx::Error> {
    sqlx::query!("delete from routing_settings where org_id = $1", org.0).execute(&mut *conn).await?;
    // Each names the other, and only the end of the transaction looks.
    sqlx::query!(
        "with versions as (delete from preset_version where org_id = $1) delete from preset where org_id = $1",
        org.0
    )
    .execute(conn)
    .await?;
    Ok(())
}
