//! Makes the database say what a file says, in one transaction.

use sqlx::{Connection, PgConnection};

use super::diff::{Action, Change, DiffError, Missing, diff};
use super::{CatalogFile, store};

/// Why a file was not applied. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    #[error(transparent)]
    Unfit(#[from] DiffError),
    #[error("the database refused the catalog")]
    Database(#[from] sqlx::Error),
}

/// What applying `file` would change.
///
/// # Errors
/// When the file does not fit the catalog, or the database fails.
pub async fn preview(conn: &mut PgConnection, file: &CatalogFile, missing: Missing) -> Result<Vec<Change>, ApplyError> {
    Ok(diff(&store::current(conn).await?, file, missing)?)
}

/// Keeps the catalog as it is until the transaction ends, and reads it: what is made of it now still fits when it is
/// applied, whoever else is at it.
///
/// # Errors
/// When the database fails.
pub async fn hold(conn: &mut PgConnection) -> Result<CatalogFile, sqlx::Error> {
    store::lock(conn).await?;
    super::export(conn).await
}

/// Applies `file` and returns what changed. Applying it again changes nothing.
///
/// # Errors
/// When the file does not fit the catalog, or the database fails; then nothing was changed.
pub async fn apply(conn: &mut PgConnection, file: &CatalogFile, missing: Missing) -> Result<Vec<Change>, ApplyError> {
    let mut tx = conn.begin().await?;
    // Two operators at once: the second waits, then sees what the first did.
    store::lock(&mut tx).await?;
    let changes = diff(&store::current(&mut tx).await?, file, missing)?;
    for change in &changes {
        perform(&mut tx, &change.action).await?;
    }
    tx.commit().await?;
    Ok(changes)
}

async fn perform(conn: &mut PgConnection, action: &Action) -> Result<(), sqlx::Error> {
    match action {
        Action::PutProvider(provider) => store::put_provider(conn, provider).await,
        Action::PutModel(model) => store::put_model(conn, model).await,
        Action::PutEndpoint(endpoint) => store::put_endpoint(conn, endpoint).await,
        Action::AddPrice(key, price) => store::add_price(conn, key, price).await,
        Action::RetireProvider(slug) => store::retire_provider(conn, slug).await,
        Action::RetireModel(slug) => store::retire_model(conn, slug).await,
        Action::RetireEndpoint(key) => store::retire_endpoint(conn, key).await,
    }
}
