//! From the code that came back to who somebody is.

use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::core::{CoreIdToken, CoreIdTokenClaims, CoreJwsSigningAlgorithm as Algorithm, CoreUserInfoClaims};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, ClaimsVerificationError, ErrorResponse, Nonce,
    OAuth2TokenResponse, PkceCodeVerifier, RequestTokenError, SignatureVerificationError, TokenResponse, UserInfoError,
};

use super::fetch::{FetchError, Fetcher};
use super::flow::{Flow, Purpose};
use super::provider::{Client, Metadata, Provider, ProviderError};
use crate::base::EmailAddress;

/// Clocks of two machines may differ by this.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// With a key pair only. A signature by a shared secret is one that we could have made ourselves.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];
/// What providers call somebody; longer is cut.
const MAX_SUBJECT: usize = 255;

/// Who somebody is at a provider.
#[derive(Clone)]
pub struct Proven {
    pub issuer: String,
    pub subject: String,
    pub email: Option<EmailAddress>,
    /// Whether the provider has proven that the address is theirs.
    pub email_verified: bool,
    pub name: String,
    /// When they last showed it there, if it was told.
    pub authenticated_at: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for Proven {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proven(at {})", self.issuer)
    }
}

/// Redeems a code, checks the token, and learns the address. Asks the provider, so no transaction is open here.
///
/// # Errors
/// What was wrong with the provider or its token, without anything secret.
pub async fn prove(
    provider: &Provider,
    callback: &str,
    flow: Flow,
    code: &str,
    iss: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Proven, ProviderError> {
    let mut metadata = provider.metadata().await?;
    provider.check_answer(&metadata, iss)?;
    let mut client = provider.client(&metadata, callback)?;
    let http = http(&provider.fetcher);
    let token = client
        .exchange_code(AuthorizationCode::new(code.to_owned()))
        .map_err(|_| ProviderError::Away("no token endpoint"))?
        .set_pkce_verifier(PkceCodeVerifier::new(flow.secrets.verifier.expose().clone()))
        .request_async(&http)
        .await
        .map_err(no_token)?;
    let id_token = token.id_token().ok_or(ProviderError::Untrue("no identity token"))?;
    let nonce = Nonce::new(flow.secrets.nonce.expose().clone());
    let mut checked = check(&client, id_token, &nonce, now);
    if let Err(Unchecked::UnknownKey) = checked {
        metadata = provider.with_new_keys().await?;
        client = provider.client(&metadata, callback)?;
        checked = check(&client, id_token, &nonce, now);
    }
    let claims = checked.map_err(ProviderError::from)?;
    check_parties(provider, &claims)?;
    check_access_token(&client, id_token, &claims, token.access_token())?;
    if flow.purpose == Purpose::StepUp && claims.auth_time().is_none_or(|at| at + SKEW < flow.begun_at) {
        return Err(ProviderError::NotFresh);
    }
    let mut proven = Proven {
        issuer: provider.settings.issuer.clone(),
        subject: claims.subject().to_string(),
        email: claims.email().and_then(|email| EmailAddress::parse(email).ok()),
        email_verified: claims.email_verified() == Some(true),
        name: claims.name().and_then(|name| name.get(None)).map(|name| name.to_string()).unwrap_or_default(),
        authenticated_at: claims.auth_time(),
    };
    if proven.email.is_none() {
        ask_more(&client, &metadata, &http, token.access_token(), &mut proven).await?;
    }
    Ok(proven)
}

fn http(
    fetcher: &Fetcher,
) -> impl Fn(
    openidconnect::HttpRequest,
) -> futures_util::future::BoxFuture<'static, Result<openidconnect::HttpResponse, FetchError>>
+ use<> {
    let fetcher = fetcher.clone();
    move |request| {
        let fetcher = fetcher.clone();
        Box::pin(async move { fetcher.call(request).await })
    }
}

enum Unchecked {
    UnknownKey,
    Wrong(&'static str),
}

impl From<Unchecked> for ProviderError {
    fn from(error: Unchecked) -> ProviderError {
        match error {
            Unchecked::UnknownKey => ProviderError::Untrue("a signature by a key that it does not publish"),
            Unchecked::Wrong(why) => ProviderError::Untrue(why),
        }
    }
}

fn check(
    client: &Client,
    token: &CoreIdToken,
    nonce: &Nonce,
    now: DateTime<Utc>,
) -> Result<CoreIdTokenClaims, Unchecked> {
    let verifier = client
        .id_token_verifier()
        .set_allowed_algs(ALGORITHMS)
        .set_time_fn(move || now - SKEW)
        .set_issue_time_verifier_fn(move |issued| if issued > now + SKEW { Err("later".into()) } else { Ok(()) });
    token.claims(&verifier, nonce).cloned().map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey) => {
            Unchecked::UnknownKey
        }
        ClaimsVerificationError::SignatureVerification(_) => Unchecked::Wrong("the signature"),
        ClaimsVerificationError::InvalidNonce(_) => Unchecked::Wrong("the nonce"),
        ClaimsVerificationError::InvalidAudience(_) => Unchecked::Wrong("the audience"),
        ClaimsVerificationError::InvalidIssuer(_) => Unchecked::Wrong("the issuer"),
        ClaimsVerificationError::Expired(_) => Unchecked::Wrong("the time"),
        _ => Unchecked::Wrong("the token"),
    })
}

/// The token was made for us and for nobody in between, and names somebody.
fn check_parties(provider: &Provider, claims: &CoreIdTokenClaims) -> Result<(), ProviderError> {
    if claims.authorized_party().is_some_and(|party| party.as_str() != provider.settings.client_id) {
        return Err(ProviderError::Untrue("the authorized party"));
    }
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > MAX_SUBJECT {
        return Err(ProviderError::Untrue("the subject"));
    }
    Ok(())
}

/// The access token came with this identity token, if the latter says with which it came.
fn check_access_token(
    client: &Client,
    token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
    access: &AccessToken,
) -> Result<(), ProviderError> {
    let Some(expected) = claims.access_token_hash() else { return Ok(()) };
    let verifier = client.id_token_verifier();
    let algorithm = token.signing_alg().map_err(|_| ProviderError::Untrue("the signature"))?;
    let key = token.signing_key(&verifier).map_err(|_| ProviderError::Untrue("the signature"))?;
    let real = AccessTokenHash::from_token(access, algorithm, key);
    match real {
        Ok(real) if real == *expected => Ok(()),
        _ => Err(ProviderError::Untrue("the access token")),
    }
}

/// Many providers tell the address only here.
async fn ask_more<H>(
    client: &Client,
    metadata: &Metadata,
    http: &H,
    access: &AccessToken,
    proven: &mut Proven,
) -> Result<(), ProviderError>
where
    H: for<'c> openidconnect::AsyncHttpClient<'c, Error = FetchError>,
{
    if metadata.userinfo_endpoint().is_none() {
        return Ok(());
    }
    let subject = openidconnect::SubjectIdentifier::new(proven.subject.clone());
    let claims: CoreUserInfoClaims = client
        .user_info(access.clone(), Some(subject))
        .map_err(|_| ProviderError::Away("no user information"))?
        .request_async(http)
        .await
        .map_err(|error| match error {
            UserInfoError::Request(error) => error.into(),
            UserInfoError::ClaimsVerification(_) => ProviderError::Untrue("the user information"),
            _ => ProviderError::Away("user information that cannot be read"),
        })?;
    proven.email = claims.email().and_then(|email| EmailAddress::parse(email).ok());
    proven.email_verified = claims.email_verified() == Some(true);
    if let Some(name) = claims.name().and_then(|name| name.get(None)).filter(|_| proven.name.is_empty()) {
        proven.name = name.to_string();
    }
    Ok(())
}

/// Texts of the provider may quote what we sent, so none of them is passed on.
fn no_token<T: ErrorResponse>(error: RequestTokenError<FetchError, T>) -> ProviderError {
    match error {
        RequestTokenError::Request(error) => error.into(),
        RequestTokenError::ServerResponse(_) => ProviderError::Untrue("the code was refused"),
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            ProviderError::Away("a token answer that cannot be read")
        }
    }
}
