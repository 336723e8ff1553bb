//! What a new instance starts with.

use sqlx::PgPool;

use crate::catalog::{self, CatalogFile, Missing};

/// A new instance starts with the catalog that is shipped.
///
/// # Errors
/// Those of the database.
pub async fn stock_catalog(pool: &PgPool) -> anyhow::Result<()> {
    let mut tx = pool.begin().await?;
    let stocked = !catalog::load(&mut tx).await?.models().is_empty();
    if !stocked {
        let changes = catalog::apply(&mut tx, &CatalogFile::shipped()?, Missing::Keep).await?;
        tracing::info!(changes = changes.len(), "the shipped catalog was applied");
    }
    tx.commit().await?;
    Ok(())
}
