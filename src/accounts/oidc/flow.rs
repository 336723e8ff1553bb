//! A sign-in that is on its way to a provider and back.

use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::core::{CoreAuthPrompt, CoreAuthenticationFlow};
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier, Scope};
use sqlx::PgConnection;
use url::Url;

use super::provider::{Provider, ProviderError, Providers};
use super::store;
use crate::base::Secret;
use crate::base::ids::SessionId;
use crate::base::secret::{Digest, random_token};

/// As long as somebody may take at the provider.
pub const LASTS: TimeDelta = TimeDelta::minutes(10);
/// Unfinished ones of one network address; above the people of an office, below what fills a disk.
const MAX_WAITING: i64 = 100;

/// What a provider is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    SignIn,
    Link,
    StepUp,
}

impl Purpose {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::SignIn => "sign_in",
            Purpose::Link => "link",
            Purpose::StepUp => "step_up",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Purpose {
        match text {
            "link" => Purpose::Link,
            "step_up" => Purpose::StepUp,
            _ => Purpose::SignIn,
        }
    }
}

/// What must come back, and what only we know.
pub struct Secrets {
    pub nonce: Secret<String>,
    pub verifier: Secret<String>,
}

impl Secrets {
    /// Both are 64 hex digits.
    fn join(&self) -> Secret<String> {
        Secret::new(format!("{}.{}", self.nonce.expose(), self.verifier.expose()))
    }

    fn split(joined: &Secret<String>) -> Option<Secrets> {
        let (nonce, verifier) = joined.expose().split_once('.')?;
        Some(Secrets { nonce: Secret::new(nonce.to_owned()), verifier: Secret::new(verifier.to_owned()) })
    }
}

/// A flow that came back.
pub struct Flow {
    pub provider: String,
    pub purpose: Purpose,
    pub session: Option<SessionId>,
    pub next: String,
    pub begun_at: DateTime<Utc>,
    pub(super) secrets: Secrets,
}

/// Who begins, and what for.
#[derive(Clone, Debug)]
pub struct NewFlow<'a> {
    pub purpose: Purpose,
    /// The mark of the browser.
    pub browser: &'a str,
    pub session: Option<SessionId>,
    pub next: &'a str,
    /// From where, as limits count it.
    pub ip: &'a str,
}

#[derive(Debug, thiserror::Error)]
pub enum BeginError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("too many sign-ins are under way")]
    TooMany,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error("the flow cannot be kept: {0}")]
    Seal(#[from] crate::base::seal::SealError),
}

fn seal_purpose(digest: &Digest) -> String {
    format!("identity_flow:{}", digest.to_hex())
}

/// Begins a sign-in: the address at the provider where the browser has to go, and what has to be kept until it is
/// back. The provider may be asked, so no transaction is open here.
///
/// # Errors
/// `Away` or `Slow` when the provider tells nothing of itself.
pub async fn begin(
    pool: &sqlx::PgPool,
    providers: &Providers,
    provider: &Provider,
    callback: &str,
    new: NewFlow<'_>,
) -> Result<Url, BeginError> {
    let metadata = provider.metadata().await?;
    let client = provider.client(&metadata, callback)?;
    let state = random_token();
    let secrets = Secrets { nonce: random_token(), verifier: random_token() };
    let verifier = PkceCodeVerifier::new(secrets.verifier.expose().clone());
    let (sent, nonce) = (state.expose().clone(), secrets.nonce.expose().clone());
    let mut request = client
        .authorize_url(
            CoreAuthenticationFlow::AuthorizationCode,
            move || CsrfToken::new(sent),
            move || Nonce::new(nonce),
        )
        .add_scope(Scope::new("email".into()))
        .add_scope(Scope::new("profile".into()))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
    request = match new.purpose {
        // The person has to show it there again, whatever that browser remembers.
        Purpose::StepUp => request.add_prompt(CoreAuthPrompt::Login).set_max_age(std::time::Duration::ZERO),
        Purpose::SignIn | Purpose::Link => request,
    };
    let (url, ..) = request.url();
    let digest = Digest::of(state.expose());
    let sealed = providers.sealer.seal(&seal_purpose(&digest), &secrets.join())?;
    let mut conn = pool.acquire().await?;
    if store::count_flows(&mut conn, new.ip).await? >= MAX_WAITING {
        return Err(BeginError::TooMany);
    }
    store::insert_flow(&mut conn, &digest, &provider.settings.name, &new, &sealed).await?;
    Ok(url)
}

/// Takes the flow of a state that came back; it can be taken once, by the browser that began it.
///
/// # Errors
/// Database errors only. `None` for an unknown, used or late state, and for that of another browser.
pub async fn resume(
    conn: &mut PgConnection,
    providers: &Providers,
    state: &str,
    browser: &str,
) -> Result<Option<Flow>, sqlx::Error> {
    let digest = Digest::of(state);
    let Some(kept) = store::take_flow(conn, &digest, &Digest::of(browser)).await? else { return Ok(None) };
    let opened = providers.sealer.open(&seal_purpose(&digest), &kept.sealed).ok();
    Ok(opened.as_ref().and_then(Secrets::split).map(|secrets| Flow {
        provider: kept.provider,
        purpose: kept.purpose,
        session: kept.session,
        next: kept.next,
        begun_at: kept.begun_at,
        secrets,
    }))
}
