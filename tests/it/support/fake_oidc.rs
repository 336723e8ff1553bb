//! An OpenID provider in this process that lies as a test tells it.
//!
//! The person's part at the provider is [`FakeOidc::grant`]: it takes the address where the browser was sent and gives
//! the path with which it comes back. Codes work once, for the code verifier that they were asked with.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64_URL};
use farebox::base::Clock;
use hmac::{Hmac, KeyInit, Mac};
use openidconnect::PrivateSigningKey;
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::Options;

pub const CLIENT_ID: &str = "farebox-at-fake";
pub const CLIENT_SECRET: &str = "fake-client-secret-8121";
/// Longer than the program waits.
const SLOW: Duration = Duration::from_secs(8);
/// Longer than the program reads.
const HUGE: usize = 2 * 1024 * 1024;

/// How the provider answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mood {
    Well,
    /// The token takes too long.
    Slow,
    /// The token answer has no end to speak of.
    Huge,
    /// Its discovery document is that of somebody else.
    Impostor,
}

/// Who signs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signature {
    /// The published key with this number.
    Key(u8),
    /// Nobody: `alg` is `none`.
    None,
    /// HMAC with the published public key as its secret.
    PublicKeyAsSecret,
    /// HMAC with the client's secret.
    ClientSecret,
    /// Another key under the name of the published one.
    Stranger,
}

type Bend = Box<dyn Fn(&mut Map<String, Value>) + Send>;

struct Grant {
    challenge: String,
    redirect: String,
    claims: Map<String, Value>,
}

struct State {
    base: String,
    mood: Mood,
    signature: Signature,
    published: Vec<u8>,
    bend: Option<Bend>,
    grants: BTreeMap<String, Grant>,
    /// Codes that were refused, and why.
    refused: Vec<&'static str>,
    /// Tokens that were given.
    given: usize,
    count: usize,
}

/// A running provider. Dropping it stops it.
pub struct FakeOidc {
    state: Arc<Mutex<State>>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key pair made of one repeated number.
fn key(number: u8) -> CoreEdDsaPrivateSigningKey {
    let mut der = hex::decode("302e020100300506032b657004220420").expect("hex");
    der.extend([number; 32]);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der));
    let name = openidconnect::JsonWebKeyId::new(format!("key-{number}"));
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(name)).expect("a key")
}

fn public(number: u8) -> Value {
    let mut jwk = serde_json::to_value(key(number).as_verification_key()).expect("a key");
    jwk["use"] = json!("sig");
    jwk["alg"] = json!("EdDSA");
    jwk
}

/// What the program is told of a provider.
pub fn settings(name: [&'static str; 3], issuer: &str) -> Vec<(&'static str, String)> {
    let [issuer_name, id, secret] = name;
    vec![(issuer_name, issuer.to_owned()), (id, CLIENT_ID.to_owned()), (secret, CLIENT_SECRET.to_owned())]
}

pub const FAKE: [&str; 3] =
    ["FAREBOX_OIDC_FAKE_ISSUER", "FAREBOX_OIDC_FAKE_CLIENT_ID", "FAREBOX_OIDC_FAKE_CLIENT_SECRET"];
pub const OTHER: [&str; 3] =
    ["FAREBOX_OIDC_OTHER_ISSUER", "FAREBOX_OIDC_OTHER_CLIENT_ID", "FAREBOX_OIDC_OTHER_CLIENT_SECRET"];

impl FakeOidc {
    pub fn start() -> FakeOidc {
        FakeOidc::start_at(0)
    }

    /// On this port; 0 for any.
    pub fn start_at(port: u16) -> FakeOidc {
        let socket = TcpListener::bind(("127.0.0.1", port)).expect("the port");
        let port = socket.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State {
            base: format!("http://127.0.0.1:{port}"),
            mood: Mood::Well,
            signature: Signature::Key(1),
            published: vec![1],
            bend: None,
            grants: BTreeMap::new(),
            refused: Vec::new(),
            given: 0,
            count: 0,
        }));
        let (shared, (send, receive)) = (Arc::clone(&state), mpsc::channel());
        let thread = std::thread::spawn(move || {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(web::Data::from(Arc::clone(&shared)))
                    .route("/.well-known/openid-configuration", web::get().to(discovery))
                    .route("/jwks", web::get().to(jwks))
                    .route("/token", web::post().to(token))
            });
            let server = server.workers(1).disable_signals().listen(socket).expect("a server").run();
            send.send(server.handle()).expect("the test");
            actix_web::rt::System::new().block_on(server).expect("a server");
        });
        let handle = receive.recv().expect("the server starts");
        FakeOidc { state, handle, thread: Some(thread) }
    }

    pub fn issuer(&self) -> String {
        locked(&self.state).base.clone()
    }

    pub fn options(&self) -> Options {
        Options { env: settings(FAKE, &self.issuer()), ..Options::default() }
    }

    pub fn mood(&self, mood: Mood) {
        locked(&self.state).mood = mood;
    }

    pub fn sign(&self, signature: Signature) {
        locked(&self.state).signature = signature;
    }

    pub fn publish(&self, keys: &[u8]) {
        locked(&self.state).published = keys.to_vec();
    }

    /// Changes the claims of every token from now on.
    pub fn bend(&self, bend: impl Fn(&mut Map<String, Value>) + Send + 'static) {
        locked(&self.state).bend = Some(Box::new(bend));
    }

    pub fn honest(&self) {
        let mut state = locked(&self.state);
        (state.bend, state.signature, state.mood) = (None, Signature::Key(1), Mood::Well);
    }

    /// Why codes were refused so far.
    pub fn refused(&self) -> Vec<&'static str> {
        locked(&self.state).refused.clone()
    }

    /// Tokens given so far.
    pub fn given(&self) -> usize {
        locked(&self.state).given
    }

    /// Somebody signs in there: the parameters with which the browser comes back, `code`, `state` and `iss`.
    pub fn grant(&self, sent_to: &str, subject: &str, email: &str) -> (String, BTreeMap<String, String>) {
        let url: url::Url = sent_to.parse().expect("an address");
        let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        for (name, value) in [("response_type", "code"), ("client_id", CLIENT_ID), ("code_challenge_method", "S256")] {
            assert_eq!(query.get(name).map(String::as_str), Some(value), "{sent_to}");
        }
        assert!(query["scope"].split(' ').any(|scope| scope == "openid"), "{sent_to}");
        let now = Clock::system().now().timestamp();
        let mut claims = Map::new();
        let mut state = locked(&self.state);
        for (name, value) in [
            ("iss", json!(state.base)),
            ("sub", json!(subject)),
            ("aud", json!(CLIENT_ID)),
            ("iat", json!(now)),
            ("exp", json!(now + 300)),
            ("auth_time", json!(now)),
            ("nonce", json!(query["nonce"])),
            ("email", json!(email)),
            ("email_verified", json!(true)),
            ("name", json!("Ada Elsewhere")),
        ] {
            claims.insert(name.to_owned(), value);
        }
        state.count += 1;
        let code = format!("code-{}", state.count);
        let redirect = query["redirect_uri"].clone();
        let grant = Grant { challenge: query["code_challenge"].clone(), redirect: redirect.clone(), claims };
        state.grants.insert(code.clone(), grant);
        let back = [("code", code), ("state", query["state"].clone()), ("iss", state.base.clone())];
        let redirect: url::Url = redirect.parse().expect("an address");
        (redirect.path().to_owned(), back.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Drop for FakeOidc {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn discovery(state: web::Data<Mutex<State>>) -> HttpResponse {
    let state = locked(&state);
    let base = &state.base;
    let issuer = if state.mood == Mood::Impostor { "https://honest.example" } else { base };
    HttpResponse::Ok().json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{base}/authorize"),
        "token_endpoint": format!("{base}/token"),
        "jwks_uri": format!("{base}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        // A provider that says so does not make us take what a shared secret has signed.
        "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn jwks(state: web::Data<Mutex<State>>) -> HttpResponse {
    let keys: Vec<Value> = locked(&state).published.iter().map(|number| public(*number)).collect();
    HttpResponse::Ok().json(json!({ "keys": keys }))
}

async fn token(
    state: web::Data<Mutex<State>>,
    request: HttpRequest,
    form: web::Form<BTreeMap<String, String>>,
) -> HttpResponse {
    let mood = locked(&state).mood;
    match mood {
        Mood::Slow => tokio::time::sleep(SLOW).await,
        Mood::Huge => return HttpResponse::Ok().content_type("application/json").body(vec![b' '; HUGE]),
        Mood::Well | Mood::Impostor => {}
    }
    let mut state = locked(&state);
    match redeem(&mut state, &request, &form) {
        Ok(claims) => {
            state.given += 1;
            HttpResponse::Ok().json(json!({
                "access_token": "fake-access-token-5512",
                "token_type": "Bearer",
                "expires_in": 300,
                "id_token": jwt(&state, &Value::Object(claims)),
            }))
        }
        Err(why) => {
            state.refused.push(why);
            HttpResponse::BadRequest().json(json!({ "error": "invalid_grant", "error_description": why }))
        }
    }
}

fn redeem(
    state: &mut State,
    request: &HttpRequest,
    form: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, &'static str> {
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{CLIENT_ID}:{CLIENT_SECRET}")));
    let shown = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    if shown != Some(basic.as_str()) {
        return Err("client");
    }
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    if field("grant_type") != "authorization_code" {
        return Err("grant type");
    }
    let grant = state.grants.remove(field("code")).ok_or("code")?;
    if field("redirect_uri") != grant.redirect {
        return Err("redirect");
    }
    if BASE64_URL.encode(Sha256::digest(field("code_verifier"))) != grant.challenge {
        return Err("verifier");
    }
    let mut claims = grant.claims;
    if let Some(bend) = &state.bend {
        bend(&mut claims);
    }
    Ok(claims)
}

fn jwt(state: &State, claims: &Value) -> String {
    let published = state.published.first().copied().unwrap_or(1);
    let (alg, kid) = match state.signature {
        Signature::Key(number) => ("EdDSA", format!("key-{number}")),
        Signature::Stranger => ("EdDSA", format!("key-{published}")),
        Signature::None => ("none", String::new()),
        Signature::PublicKeyAsSecret | Signature::ClientSecret => ("HS256", format!("key-{published}")),
    };
    let header = json!({ "alg": alg, "typ": "JWT", "kid": kid });
    let text = format!("{}.{}", BASE64_URL.encode(header.to_string()), BASE64_URL.encode(claims.to_string()));
    let hmac = |secret: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let sign = |number: u8| key(number).sign(&CoreJwsSigningAlgorithm::EdDsa, text.as_bytes()).expect("a signature");
    let signature = match state.signature {
        Signature::Key(number) => sign(number),
        Signature::Stranger => sign(99),
        Signature::None => Vec::new(),
        Signature::PublicKeyAsSecret => {
            let point = public(published)["x"].as_str().expect("a point").to_owned();
            hmac(&BASE64_URL.decode(point).expect("a point"))
        }
        Signature::ClientSecret => hmac(CLIENT_SECRET.as_bytes()),
    };
    format!("{text}.{}", BASE64_URL.encode(signature))
}
