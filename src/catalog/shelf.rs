//! The catalog as this process serves it, replaced as a whole when it changes.

use std::sync::{Arc, PoisonError, RwLock};

use sqlx::PgPool;

use super::snapshot::{Catalog, load};

/// Where handlers take the current catalog from. Clones share it.
#[derive(Clone, Debug)]
pub struct Shelf {
    current: Arc<RwLock<Catalog>>,
    /// Production has no sandbox.
    sandbox: bool,
}

impl Shelf {
    /// Reads the catalog for the first time.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn load(pool: &PgPool, sandbox: bool) -> Result<Shelf, sqlx::Error> {
        let shelf = Shelf { current: Arc::default(), sandbox };
        shelf.reload(pool).await?;
        Ok(shelf)
    }

    /// The catalog as it stands now; cheap.
    #[must_use]
    pub fn current(&self) -> Catalog {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the catalog again. On an error the last one stays.
    ///
    /// # Errors
    /// Database errors only.
    pub async fn reload(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut conn = pool.acquire().await?;
        let read = load(&mut conn).await?;
        self.replace(if self.sandbox { read } else { read.without_sandbox() });
        Ok(())
    }

    pub fn replace(&self, catalog: Catalog) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = catalog;
    }
}
