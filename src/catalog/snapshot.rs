//! The catalog in memory: what the way of a call reads. A copy is never changed, only replaced.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::PgConnection;
use url::Url;

use super::{Endpoint, EndpointId, Model, PriceVersionId, Provider, ProviderId, ProviderKind, store};

/// Every enabled model, endpoint and provider with its current price, as of one moment. Cloning it is cheap.
#[derive(Clone, Debug, Default)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    models: Vec<Arc<ListedModel>>,
    providers: Vec<Arc<ListedProvider>>,
    /// Ids and aliases.
    by_name: HashMap<String, Arc<ListedModel>>,
}

/// A provider in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedProvider {
    pub id: ProviderId,
    pub provider: Provider,
    /// Whether the operator has stored a key for it.
    pub has_key: bool,
    /// Its base address, read once: reading it for each call costs more than choosing where the call goes.
    base: Option<Url>,
}

impl ListedProvider {
    #[must_use]
    pub fn new(id: ProviderId, provider: Provider, has_key: bool) -> ListedProvider {
        let base = provider.base_url.as_deref().and_then(|text| Url::parse(text).ok());
        ListedProvider { id, provider, has_key, base }
    }

    /// The address of a path below its base; `None` where it has none, as the built-in sandbox.
    #[must_use]
    pub fn address(&self, path: &str) -> Option<Url> {
        let mut address = self.base.clone()?;
        address.path_segments_mut().ok()?.pop_if_empty().extend(path.split('/'));
        Some(address)
    }

    /// Whether it can be called on the operator's account: a key is there, or none is needed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.has_key || self.provider.key_env.is_none()
    }
}

/// A model in use and where it runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListedModel {
    pub model: Model,
    /// Cheapest first; may be empty.
    pub offers: Vec<Offer>,
}

impl ListedModel {
    /// The offers that can be called on the operator's account, cheapest first.
    pub fn open_offers(&self) -> impl Iterator<Item = &Offer> {
        self.offers.iter().filter(|offer| offer.provider.is_open())
    }

    /// Whether somebody without a provider key of their own can call it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.open_offers().next().is_some()
    }

    /// The offer whose price stands for the model in lists: the cheapest open one, or the cheapest.
    #[must_use]
    pub fn lead_offer(&self) -> Option<&Offer> {
        self.open_offers().next().or_else(|| self.offers.first())
    }
}

/// One endpoint of a model, with the version of its price that a call must pin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offer {
    pub id: EndpointId,
    pub price_version: PriceVersionId,
    pub endpoint: Endpoint,
    pub provider: Arc<ListedProvider>,
}

/// Reads the catalog as it stands now.
///
/// # Errors
/// When the database fails.
pub async fn load(conn: &mut PgConnection) -> Result<Catalog, sqlx::Error> {
    let providers = store::listed_providers(conn).await?.into_iter().map(Arc::new).collect::<Vec<_>>();
    let models = store::listed_models(conn).await?;
    let offers = store::listed_endpoints(conn).await?;
    Ok(Catalog::build(providers, models, offers))
}

impl Catalog {
    /// Puts the parts together. An endpoint whose model or provider is not in use is left out.
    pub(super) fn build(
        providers: Vec<Arc<ListedProvider>>,
        models: Vec<Model>,
        endpoints: Vec<(EndpointId, PriceVersionId, Endpoint)>,
    ) -> Catalog {
        let mut offers: HashMap<_, Vec<Offer>> = HashMap::new();
        for (id, price_version, endpoint) in endpoints {
            let Some(provider) = providers.iter().find(|listed| listed.provider.slug == endpoint.provider) else {
                continue;
            };
            let offer = Offer { id, price_version, endpoint, provider: Arc::clone(provider) };
            offers.entry(offer.endpoint.model.clone()).or_default().push(offer);
        }
        let listed = models.into_iter().map(|model| {
            let mut offers = offers.remove(&model.slug).unwrap_or_default();
            offers.sort_by_key(|offer| (price_rank(&offer.endpoint), offer.endpoint.key()));
            Arc::new(ListedModel { model, offers })
        });
        Catalog::of(providers, listed.collect())
    }

    fn of(providers: Vec<Arc<ListedProvider>>, models: Vec<Arc<ListedModel>>) -> Catalog {
        let mut by_name = HashMap::new();
        // Ids go in last, so that an id wins over another model's alias.
        for listed in &models {
            for alias in &listed.model.aliases {
                by_name.insert(alias.as_str().to_owned(), Arc::clone(listed));
            }
        }
        for listed in &models {
            by_name.insert(listed.model.slug.as_str().to_owned(), Arc::clone(listed));
        }
        Catalog(Arc::new(Inner { models, providers, by_name }))
    }

    /// The same catalog without the built-in test provider and every model that only it serves, for production.
    #[must_use]
    pub fn without_sandbox(&self) -> Catalog {
        let real = |listed: &ListedProvider| listed.provider.kind != ProviderKind::Sandbox;
        let providers = self.0.providers.iter().filter(|listed| real(listed)).cloned().collect();
        let models = self.0.models.iter().filter_map(|listed| {
            let offers: Vec<_> = listed.offers.iter().filter(|offer| real(&offer.provider)).cloned().collect();
            let only_sandbox = offers.is_empty() && !listed.offers.is_empty();
            (!only_sandbox).then(|| Arc::new(ListedModel { model: listed.model.clone(), offers }))
        });
        Catalog::of(providers, models.collect())
    }

    /// Every model in use, newest first, also those that only a caller's own provider key reaches.
    #[must_use]
    pub fn models(&self) -> &[Arc<ListedModel>] {
        &self.0.models
    }

    /// The models that can be called on the operator's account, newest first.
    pub fn open_models(&self) -> impl Iterator<Item = &Arc<ListedModel>> {
        self.0.models.iter().filter(|listed| listed.is_open())
    }

    /// The model with this id or alias.
    #[must_use]
    pub fn model(&self, name: &str) -> Option<&Arc<ListedModel>> {
        self.0.by_name.get(name)
    }

    /// Every provider in use, by slug.
    #[must_use]
    pub fn providers(&self) -> &[Arc<ListedProvider>] {
        &self.0.providers
    }

    /// The provider with this slug.
    #[must_use]
    pub fn provider(&self, slug: &str) -> Option<&Arc<ListedProvider>> {
        self.0.providers.iter().find(|listed| listed.provider.slug.as_str() == slug)
    }
}

/// One call's flat price counts before tokens: it dwarfs them.
fn price_rank(endpoint: &Endpoint) -> (rust_decimal::Decimal, rust_decimal::Decimal) {
    let price = &endpoint.price;
    (price.request.unwrap_or_default().amount(), price.prompt.amount() + price.completion.amount())
}

#[cfg(test)]
pub(super) mod tests {

    use super::*;
    use crate::base::ids::EventId;
    use crate::catalog::CatalogFile;

    /// What a fresh installation has, with keys for some providers.
    pub(crate) fn catalog(keyed: &[&str]) -> Catalog {
        let file = CatalogFile::shipped().expect("the shipped file is read");
        let listed = |provider: Provider| {
            let has_key = keyed.contains(&provider.slug.as_str());
            Arc::new(ListedProvider::new(ProviderId(EventId::fresh().0), provider, has_key))
        };
        let endpoints =
            file.endpoints.into_iter().map(|e| (EndpointId(EventId::fresh().0), PriceVersionId(EventId::fresh().0), e));
        Catalog::build(file.providers.into_iter().map(listed).collect(), file.models, endpoints.collect())
    }

    #[test]
    fn addresses_are_below_the_base() {
        let file = CatalogFile::shipped().expect("the shipped file is read");
        let mut provider = file.providers.into_iter().find(|one| one.base_url.is_some()).expect("one has an address");
        for (base, whole) in [
            ("https://api.example.com", "https://api.example.com/chat/completions"),
            ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
            ("http://10.0.0.5:8000/a%20b/v1/", "http://10.0.0.5:8000/a%20b/v1/chat/completions"),
        ] {
            provider.base_url = Some(base.to_owned());
            let listed = ListedProvider::new(ProviderId(EventId::fresh().0), provider.clone(), true);
            assert_eq!(listed.address("chat/completions").map(String::from).as_deref(), Some(whole));
        }
        provider.base_url = None;
        let listed = ListedProvider::new(ProviderId(EventId::fresh().0), provider, true);
        assert_eq!(listed.address("chat/completions"), None);
    }

    #[test]
    fn a_fresh_installation_offers_the_sandbox_and_nothing_else() {
        let catalog = catalog(&[]);
        assert!(catalog.open_models().all(|listed| listed.model.slug.author() == "sandbox"));
        assert_eq!(catalog.open_models().count(), 6);
        assert_eq!(catalog.without_sandbox().open_models().count(), 0);
        assert!(catalog.without_sandbox().model("sandbox/echo").is_none());
    }

    #[test]
    fn a_stored_key_opens_its_provider() {
        let catalog = catalog(&["groq", "deepinfra"]);
        let listed = catalog.model("openai/gpt-oss-120b").expect("it is in the shipped file");
        let open: Vec<_> = listed.open_offers().map(|offer| offer.provider.provider.slug.as_str()).collect();
        assert_eq!(open, ["deepinfra", "groq"], "cheapest first");
        assert!(listed.offers.len() > open.len(), "the rest is there for callers with keys of their own");
    }

    #[test]
    fn an_alias_leads_to_its_model() {
        let catalog = catalog(&[]);
        let by_alias = catalog.model("anthropic/claude-haiku-4-5").map(|listed| listed.model.slug.as_str());
        assert_eq!(by_alias, Some("anthropic/claude-haiku-4.5"));
        assert!(catalog.model("anthropic/unheard-of").is_none());
    }
}
