//! Writes the catalog down as a file that changes nothing when it is applied again.

use sqlx::PgConnection;

use super::{CatalogFile, store};

/// Everything that is not retired, in a steady order.
///
/// # Errors
/// When the database fails.
pub async fn export(conn: &mut PgConnection) -> Result<CatalogFile, sqlx::Error> {
    let current = store::current(conn).await?;
    Ok(CatalogFile {
        providers: current.providers.into_values().filter(|kept| !kept.retired).map(|kept| kept.value).collect(),
        models: current.models.into_values().filter(|kept| !kept.retired).map(|kept| kept.value).collect(),
        endpoints: current.endpoints.into_values().filter(|kept| !kept.retired).map(|kept| kept.value).collect(),
    })
}
