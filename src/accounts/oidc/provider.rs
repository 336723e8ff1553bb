//! A provider that the operator trusts, and what is known of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClient, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode,
    CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{
    AdditionalProviderMetadata, AuthType, ClientId, ClientSecret, DiscoveryError, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, IssuerUrl, ProviderMetadata, RedirectUrl,
};
use tokio::sync::Mutex;

use super::fetch::{FetchError, Fetcher};
use crate::base::Secret;
use crate::base::seal::Sealer;

/// What discovery told is asked again after this.
const FRESH_FOR: Duration = Duration::from_secs(3_600);
/// ... and used for so long when it is not told again.
const USED_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Tokens with unknown keys make us ask for the keys at most this often.
const KEYS_EVERY: Duration = Duration::from_secs(10);

/// How the operator describes a provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProviderSettings {
    /// Stands in URLs: lower-case letters, digits and `-`.
    pub name: String,
    /// What people call it.
    pub label: String,
    /// Exactly as the provider writes it.
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Secret<String>,
}

/// Takes `none`, `consent` and `select_account` as a prompt and answers `login` with a page of errors; and its token does not say
/// when somebody signed in (developers.google.com/identity/openid-connect).
const GOOGLE: &str = "https://accounts.google.com";

impl ProviderSettings {
    /// Whether it asks somebody anew who they are when we want it to. Else only signing in here anew does.
    #[must_use]
    pub fn asks_again(&self) -> bool {
        self.issuer.trim_end_matches('/') != GOOGLE
    }
}

/// Why a provider could not tell who somebody is. Nothing in it is secret; the word is for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    #[error("it does not answer as a provider does: {0}")]
    Away(&'static str),
    #[error("it did not answer in time")]
    Slow,
    #[error("what it said does not hold: {0}")]
    Untrue(&'static str),
    #[error("it did not ask the person again")]
    NotFresh,
}

impl From<FetchError> for ProviderError {
    fn from(error: FetchError) -> ProviderError {
        match error {
            FetchError::Slow => ProviderError::Slow,
            FetchError::Scheme => ProviderError::Away("an address without https"),
            FetchError::NotPublic => ProviderError::Away("an address of another host that is not public"),
            FetchError::TooLong => ProviderError::Away("an answer that is too long"),
            FetchError::Request | FetchError::Away => ProviderError::Away("no answer"),
        }
    }
}

fn undiscovered(error: DiscoveryError<FetchError>) -> ProviderError {
    match error {
        DiscoveryError::Request(error) => error.into(),
        DiscoveryError::Validation(_) => ProviderError::Untrue("another issuer in its discovery document"),
        _ => ProviderError::Away("a discovery document or keys that cannot be read"),
    }
}

#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct MoreMetadata {
    /// RFC 9207: every answer names the issuer.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for MoreMetadata {}

pub type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

pub type Client =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

#[derive(Clone)]
struct Known {
    metadata: Metadata,
    told_at: Instant,
    /// When a token with an unknown key last made us ask.
    keys_at: Option<Instant>,
}

/// One provider. What it tells of itself is kept, so that a sign-in asks it for no more than the token.
pub struct Provider {
    pub settings: ProviderSettings,
    pub(super) fetcher: Fetcher,
    known: Mutex<Option<Known>>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Provider({})", self.settings.name)
    }
}

impl Provider {
    /// # Errors
    /// When TLS cannot be set up. The provider itself is not asked.
    pub fn new(settings: ProviderSettings) -> anyhow::Result<Provider> {
        let fetcher = Fetcher::new(&settings.issuer)?;
        Ok(Provider { settings, fetcher, known: Mutex::new(None) })
    }

    /// What the provider tells of itself.
    ///
    /// # Errors
    /// `Away` or `Slow`, and nothing was told in the last day.
    pub(super) async fn metadata(&self) -> Result<Metadata, ProviderError> {
        let mut known = self.known.lock().await;
        if let Some(known) = known.as_ref().filter(|known| known.told_at.elapsed() < FRESH_FOR) {
            return Ok(known.metadata.clone());
        }
        match self.discover().await {
            Ok(metadata) => {
                *known = Some(Known { metadata: metadata.clone(), told_at: Instant::now(), keys_at: None });
                Ok(metadata)
            }
            Err(error) => match known.as_ref().filter(|known| known.told_at.elapsed() < USED_FOR) {
                Some(known) => Ok(known.metadata.clone()),
                None => Err(error),
            },
        }
    }

    /// Asks the provider what it tells of itself, now.
    ///
    /// # Errors
    /// `Away` or `Slow`; `Untrue` when it is another issuer's.
    pub async fn look(&self) -> Result<(), ProviderError> {
        self.discover().await.map(|_| ())
    }

    async fn discover(&self) -> Result<Metadata, ProviderError> {
        let issuer = IssuerUrl::new(self.settings.issuer.clone())
            .map_err(|_| ProviderError::Away("an issuer that is no address"))?;
        let fetcher = self.fetcher.clone();
        let http = move |request| {
            let fetcher = fetcher.clone();
            async move { fetcher.call(request).await }
        };
        Metadata::discover_async(issuer, &http).await.map_err(undiscovered)
    }

    /// The same with its newest keys, for a token that was signed with one we do not know.
    ///
    /// # Errors
    /// `Untrue` when the keys were asked for a moment ago; else as [`Provider::metadata`].
    pub(super) async fn with_new_keys(&self) -> Result<Metadata, ProviderError> {
        let mut known = self.known.lock().await;
        let Some(known) = known.as_mut() else { return Err(ProviderError::Away("no keys")) };
        if known.keys_at.is_some_and(|at| at.elapsed() < KEYS_EVERY) {
            // Somebody else may have brought the key a moment ago.
            return Ok(known.metadata.clone());
        }
        let fetcher = self.fetcher.clone();
        let http = move |request| {
            let fetcher = fetcher.clone();
            async move { fetcher.call(request).await }
        };
        let fetched = CoreJsonWebKeySet::fetch_async(known.metadata.jwks_uri(), &http).await;
        // Not before: whoever leaves meanwhile has not asked for the others.
        known.keys_at = Some(Instant::now());
        let keys = fetched.map_err(undiscovered)?;
        known.metadata = known.metadata.clone().set_jwks(keys);
        Ok(known.metadata.clone())
    }

    pub(super) fn client(&self, metadata: &Metadata, callback: &str) -> Result<Client, ProviderError> {
        let callback = RedirectUrl::new(callback.to_owned()).map_err(|_| ProviderError::Away("no way back"))?;
        let client = CoreClient::from_provider_metadata(
            metadata.clone(),
            ClientId::new(self.settings.client_id.clone()),
            Some(ClientSecret::new(self.settings.client_secret.expose().clone())),
        );
        let methods = metadata.token_endpoint_auth_methods_supported();
        let posted = methods.is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        let auth = if posted { AuthType::RequestBody } else { AuthType::BasicAuth };
        Ok(client.set_redirect_uri(callback).set_auth_type(auth))
    }

    /// Checks the issuer that came back beside the code (RFC 9207).
    ///
    /// # Errors
    /// `Untrue` when it is another's, or missing although the provider promised it.
    pub(super) fn check_answer(&self, metadata: &Metadata, iss: Option<&str>) -> Result<(), ProviderError> {
        match iss {
            Some(iss) if iss == self.settings.issuer => Ok(()),
            Some(_) => Err(ProviderError::Untrue("the answer names another issuer")),
            None if metadata.additional_metadata().authorization_response_iss_parameter_supported => {
                Err(ProviderError::Untrue("the answer names no issuer"))
            }
            None => Ok(()),
        }
    }
}

/// All providers of this instance, and the key that seals what a sign-in keeps.
#[derive(Clone, Debug)]
pub struct Providers {
    list: Arc<[Provider]>,
    pub(super) sealer: Sealer,
}

impl Providers {
    /// # Errors
    /// When TLS cannot be set up.
    pub fn new(settings: &[ProviderSettings], sealer: Sealer) -> anyhow::Result<Providers> {
        let list: anyhow::Result<Vec<Provider>> = settings.iter().cloned().map(Provider::new).collect();
        Ok(Providers { list: list?.into(), sealer })
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Provider> {
        self.list.iter().find(|provider| provider.settings.name == name)
    }

    /// The provider that vouches under this issuer, if it is still configured.
    #[must_use]
    pub fn of_issuer(&self, issuer: &str) -> Option<&Provider> {
        self.list.iter().find(|provider| provider.settings.issuer == issuer)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Provider> {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn google_is_not_asked_for_what_it_does_not_know() {
        for (issuer, asks) in
            [(GOOGLE, false), ("https://accounts.google.com/", false), ("https://id.example.com", true)]
        {
            let settings = ProviderSettings {
                name: "one".into(),
                label: "One".into(),
                issuer: issuer.into(),
                client_id: "us".into(),
                client_secret: Secret::new("secret".into()),
            };
            assert_eq!(settings.asks_again(), asks, "{issuer}");
        }
    }
}
