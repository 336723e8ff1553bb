//! The one place in a process where the current catalog stands.

use std::cmp::Reverse;
use std::sync::{Arc, PoisonError, RwLock};

use sqlx::PgPool;

use super::snapshot::{self, Catalog, ListedModel};
use super::{Modality, ProviderKind};

/// Holds the catalog that this process uses now. Clones look at the same place.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    current: Arc<RwLock<Catalog>>,
    /// Whether the built-in test provider is offered: in development only.
    sandbox: bool,
}

impl Shelf {
    /// Reads the catalog for the first time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn load(pool: &PgPool, sandbox: bool) -> Result<Shelf, sqlx::Error> {
        let shelf = Shelf { current: Arc::default(), sandbox };
        shelf.reload(pool).await?;
        Ok(shelf)
    }

    /// The catalog of this moment; it stays as it is for whoever holds it.
    #[must_use]
    pub fn current(&self) -> Catalog {
        // A catalog is replaced as a whole, so one that a panic left behind is still whole.
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn replace(&self, catalog: Catalog) {
        let catalog = if self.sandbox { catalog } else { catalog.without_sandbox() };
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = catalog;
    }

    /// Reads the catalog again, after it changed or may have. The old one stays when that fails.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reload(&self, pool: &PgPool) -> Result<(), sqlx::Error> {
        let mut conn = pool.acquire().await?;
        self.replace(snapshot::load(&mut conn).await?);
        Ok(())
    }
}

impl Catalog {
    /// The model that examples name: one that talks and that can be called here, the cheapest with a price.
    #[must_use]
    pub fn example(&self) -> Option<&Arc<ListedModel>> {
        let talks = |listed: &&Arc<ListedModel>| {
            listed.model.input_modalities.contains(&Modality::Text)
                && listed.model.output_modalities.contains(&Modality::Text)
        };
        self.open_models().filter(talks).min_by_key(|listed| {
            let offer = listed.lead_offer();
            let price = offer.map(|offer| offer.endpoint.price).unwrap_or_default();
            let real = offer.is_some_and(|offer| offer.provider.provider.kind != ProviderKind::Sandbox);
            let flat = price.request.unwrap_or_default().amount();
            let tokens = price.prompt.amount() + price.completion.amount();
            (Reverse(real), price.is_free(), flat, tokens, listed.model.slug.clone())
        })
    }
}
