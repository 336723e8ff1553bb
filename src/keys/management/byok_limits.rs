//! What a stored key is limited to, as a program names it.

use sqlx::PgConnection;

use crate::base::ids::{KeyId, OrgId, PersonId};
use crate::base::secret::Digest;
use crate::catalog::{Catalog, ListedProvider};
use crate::integrations::{ProviderKey, Wish};
use crate::keys::store;
use crate::orgs;
use crate::web::api::{ApiError, answered};

/// Names in one list.
const MAX_NAMES: usize = 100;

/// Lists of a body: `None` where a list stays as it is, `Some(None)` for no limit.
pub struct Asked {
    pub models: Option<Option<Vec<String>>>,
    pub hashes: Option<Option<Vec<String>>>,
    pub users: Option<Option<Vec<String>>>,
}

/// A wish with nothing but its limits. What stands in one already may stay, also where it is gone by now.
///
/// # Errors
/// 400 for a list without names and for names of nothing, 503 while the database is away.
pub async fn resolve(
    conn: &mut PgConnection,
    org: OrgId,
    catalog: &Catalog,
    listed: &ListedProvider,
    asked: Asked,
    before: Option<&ProviderKey>,
) -> Result<Wish, ApiError> {
    let stored = before.and_then(|key| key.models.clone()).unwrap_or_default();
    let models = match checked(asked.models, "allowed_models")? {
        None => stored,
        Some(names) => self::models(catalog, listed, names, &stored)?,
    };
    let keys = match checked(asked.hashes, "allowed_api_key_hashes")? {
        None => before.and_then(|key| key.keys.clone()).unwrap_or_default(),
        Some(hashes) => self::keys(conn, org, &hashes).await?,
    };
    let members = match checked(asked.users, "allowed_user_ids")? {
        None => before.and_then(|key| key.members.clone()).unwrap_or_default(),
        Some(ids) => {
            let stored = before.and_then(|key| key.members.as_deref()).unwrap_or_default();
            self::members(conn, org, &ids, stored).await?
        }
    };
    Ok(Wish { models, keys, members, ..Wish::default() })
}

/// A list that allows nothing is a mistake: an empty one could be read as any.
fn checked(list: Option<Option<Vec<String>>>, field: &str) -> Result<Option<Vec<String>>, ApiError> {
    match list {
        None => Ok(None),
        Some(None) => Ok(Some(Vec::new())),
        Some(Some(names)) if (1..=MAX_NAMES).contains(&names.len()) => Ok(Some(names)),
        Some(Some(_)) => Err(ApiError::invalid(format!("`{field}` must have 1 to {MAX_NAMES} names, or be null."))),
    }
}

fn unknown(field: &str, name: &str) -> ApiError {
    let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
    ApiError::invalid(format!("`{field}`: there is no `{name}` here that it could be limited to."))
}

fn models(
    catalog: &Catalog,
    listed: &ListedProvider,
    names: Vec<String>,
    before: &[String],
) -> Result<Vec<String>, ApiError> {
    let slug = listed.provider.slug.as_str();
    let runs = |name: &str| {
        let model = catalog.models().iter().find(|model| model.model.slug.as_str() == name);
        model.is_some_and(|model| model.offers.iter().any(|offer| offer.provider.provider.slug.as_str() == slug))
    };
    match names.iter().find(|name| !runs(name) && !before.contains(name)) {
        Some(name) => Err(unknown("allowed_models", name)),
        None => Ok(names),
    }
}

async fn keys(conn: &mut PgConnection, org: OrgId, hashes: &[String]) -> Result<Vec<KeyId>, ApiError> {
    let mut found = Vec::new();
    for hash in hashes {
        let digest = hex::decode(hash).ok().and_then(|bytes| Digest::from_bytes(&bytes));
        let key = match &digest {
            Some(digest) => answered(store::find_ever(conn, org, digest)).await?,
            None => None,
        };
        found.push(key.ok_or_else(|| unknown("allowed_api_key_hashes", hash))?);
    }
    Ok(found)
}

async fn members(
    conn: &mut PgConnection,
    org: OrgId,
    ids: &[String],
    before: &[PersonId],
) -> Result<Vec<PersonId>, ApiError> {
    let mut found = Vec::new();
    for id in ids {
        let person = match id.parse::<PersonId>() {
            Ok(person) if before.contains(&person) => Some(person),
            Ok(person) => answered(orgs::member_row(conn, org, person)).await?.map(|member| member.person),
            Err(_) => None,
        };
        found.push(person.ok_or_else(|| unknown("allowed_user_ids", id))?);
    }
    Ok(found)
}
