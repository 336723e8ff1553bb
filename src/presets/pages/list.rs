//! `/settings/presets`: the presets of the organization.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use crate::orgs::{KeyUser, Permission};
use crate::presets::Status;
use crate::presets::store::{self, Listed};
use crate::web::present::when;
use crate::web::views::presets as views;
use crate::web::views::{Badge, Link, Pager};
use crate::web::{App, PageError, html};

const ROWS: i64 = 50;

#[derive(Deserialize)]
pub struct IndexQuery {
    /// Anything: the archived ones.
    #[serde(default)]
    archived: String,
    #[serde(default)]
    offset: u16,
}

/// `GET /settings/presets`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    member: KeyUser,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let (archived, offset) = (!query.archived.is_empty(), i64::from(query.offset));
    let (now, viewer, org) = (app.clock.now(), member.person().viewer(), member.org_id());
    let mut conn = member.tenant(&app).await?;
    let status = if archived { Status::Archived } else { Status::Active };
    let mut found = store::list(&mut conn, org, status, offset, ROWS + 1).await?;
    let more = found.len() > usize::try_from(ROWS).unwrap_or(0);
    found.truncate(usize::try_from(ROWS).unwrap_or(0));
    let rows: Vec<_> = found.iter().map(|listed| row(listed, |at| when(at, now, viewer))).collect();
    let any = !rows.is_empty() || archived || store::count(&mut conn, org).await? > 0;
    let address = |offset: i64| {
        let archived = if archived { "&archived=1" } else { "" };
        format!("/settings/presets?offset={offset}{archived}")
    };
    html(&views::Index {
        shell: member.shell(
            "presets",
            "Presets",
            "A name for a system prompt, models, providers and parameters, which any program can call.",
        ),
        may_change: member.may(Permission::ManageSettings),
        any,
        archived,
        views: vec![
            Link { href: "/settings/presets".into(), label: "In use".into(), current: !archived },
            Link { href: "/settings/presets?archived=1".into(), label: "Archived".into(), current: archived },
        ],
        pager: Pager {
            older_href: more.then(|| address(offset + ROWS)),
            newest_href: (offset > 0).then(|| address(0)),
            note: String::new(),
            by_name: true,
        },
        rows,
    })
}

fn row(listed: &Listed, when: impl Fn(chrono::DateTime<chrono::Utc>) -> crate::web::views::When) -> views::PresetRow {
    let Listed { preset, config, .. } = listed;
    views::PresetRow {
        id: preset.id.to_string(),
        name: preset.name.clone(),
        reference: format!("@preset/{}", preset.slug),
        description: preset.description.clone(),
        models: match config.models.as_slice() {
            [] => "any".to_owned(),
            [one] => one.clone(),
            [first, rest @ ..] => format!("{first} and {} more", rest.len()),
        },
        version: format!("Version {}", preset.version),
        changed: when(preset.updated_at),
        author: preset.author.name.clone().unwrap_or_default(),
        active: preset.status == Status::Active,
        state: match preset.status {
            Status::Active => Badge::new("good", "check", "In use"),
            Status::Archived => Badge::new("", "archive", "Archived"),
        },
    }
}
