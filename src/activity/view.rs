//! Views of the activity page that somebody saved under a name.

use sqlx::PgConnection;

use super::store;
use crate::base::ids::{OrgId, PersonId, ViewId};

/// Views that one person has in one organization.
pub const MAX_VIEWS: i64 = 30;
/// Letters of a name.
pub const MAX_NAME: usize = 60;
/// Letters of the query of an address that is kept.
pub const MAX_QUERY: usize = 2_000;

/// A view and the query of its address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    pub id: ViewId,
    pub name: String,
    pub query: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error("A view has a name of 1 to {MAX_NAME} letters.")]
    Name,
    #[error("This view has too many filters to be saved.")]
    TooLong,
    #[error("You have {MAX_VIEWS} saved views, and more are not possible. Delete one first.")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// The views of a person in an organization, by name.
///
/// # Errors
/// Database errors only.
pub async fn views(conn: &mut PgConnection, org: OrgId, person: PersonId) -> Result<Vec<View>, sqlx::Error> {
    store::views(conn, org, person, MAX_VIEWS).await
}

/// Saves a view. One of the same name shows this from now on.
///
/// # Errors
/// What is wrong with it, and database errors.
pub async fn save_view(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    name: &str,
    query: &str,
) -> Result<(), ViewError> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(ViewError::Name);
    }
    if query.chars().count() > MAX_QUERY {
        return Err(ViewError::TooLong);
    }
    if store::save_view(conn, org, person, ViewId::fresh(), (name, query), MAX_VIEWS).await? {
        Ok(())
    } else {
        Err(ViewError::TooMany)
    }
}

/// Deletes one of a person's views. False when they have no such view.
///
/// # Errors
/// Database errors only.
pub async fn delete_view(
    conn: &mut PgConnection,
    org: OrgId,
    person: PersonId,
    view: ViewId,
) -> Result<bool, sqlx::Error> {
    store::delete_view(conn, org, person, view).await
}
