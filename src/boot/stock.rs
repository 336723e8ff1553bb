//! What a new instance starts with.

use sqlx::PgPool;

use crate::catalog::{self, CatalogFile, Missing};

/// A new instance starts with the catalog that is shipped: how many entries that were, none where there is one already.
///
/// # Errors
/// Those of the database.
pub async fn stock_catalog(pool: &PgPool) -> anyhow::Result<usize> {
    let mut tx = pool.begin().await?;
    if !catalog::load(&mut tx).await?.models().is_empty() {
        return Ok(0);
    }
    let changes = catalog::apply(&mut tx, &CatalogFile::shipped()?, Missing::Keep).await?;
    tx.commit().await?;
    tracing::info!(changes = changes.len(), "the shipped catalog was applied");
    Ok(changes.len())
}
