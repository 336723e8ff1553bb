//! Somebody published a key: the scanner tells us, and the key is worth nothing from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use farebox::base::secret::Digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::management::{issue, provisioning};
use crate::support::receiver::{self, Receiver};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options, team};

/// What stands before the point in the DER of a public key on P-256.
const SPKI: &str = "3059301306072a8648ce3d020106082a8648ce3d030107034200";

/// The scanner: it signs, and shows its public key to whoever asks.
struct Scanner {
    pair: EcdsaKeyPair,
    url: String,
    asked: Arc<AtomicUsize>,
}

fn pair() -> EcdsaKeyPair {
    let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
    let made = EcdsaKeyPair::generate_pkcs8(kind, &random).expect("a key");
    EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).expect("a key")
}

impl Scanner {
    async fn start() -> Scanner {
        let pair = pair();
        let mut der = hex::decode(SPKI).expect("hex");
        der.extend_from_slice(pair.public_key().as_ref());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
        let list =
            json!({ "public_keys": [{ "key_identifier": "current", "key": pem, "is_current": true }] }).to_string();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/keys", listener.local_addr().expect("an address"));
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut buffer = [0; 4096];
                let _ = socket.read(&mut buffer).await;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", list.len());
                let _ = socket.write_all(format!("{head}{list}").as_bytes()).await;
            }
        });
        Scanner { pair, url, asked }
    }

    fn sign(&self, body: &str) -> String {
        let signature = self.pair.sign(&SystemRandom::new(), body.as_bytes()).expect("a signature");
        STANDARD.encode(signature.as_ref())
    }

    async fn tell(&self, farebox: &Farebox, body: &str) -> (u16, Value) {
        post(farebox, body, "current", &self.sign(body)).await
    }
}

async fn post(farebox: &Farebox, body: &str, key: &str, signature: &str) -> (u16, Value) {
    let request = farebox.http.post(farebox.url("/webhooks/leaks/github")).body(body.to_owned());
    let request = request.header("Github-Public-Key-Identifier", key).header("Github-Public-Key-Signature", signature);
    let answer = request.header("content-type", "application/json").send().await.expect("an answer");
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn with(scanner: &Scanner) -> Farebox {
    let env =
        vec![("FAREBOX_LEAK_KEYS_URL", scanner.url.clone()), ("FAREBOX_ALLOW_PRIVATE_WEBHOOKS", "true".to_owned())];
    Farebox::with(Options { env, ..Options::default() }).await
}

fn matches(tokens: &[&str]) -> String {
    let one = |token: &&str| json!({ "token": token, "type": "farebox_api_key", "url": "https://example.com/a/b.txt", "source": "content" });
    json!(tokens.iter().map(one).collect::<Vec<_>>()).to_string()
}

async fn status(farebox: &Farebox, key: &Key) -> u16 {
    farebox.chat(key, "sandbox/penny", "hi", json!({})).await.status().as_u16()
}

/// Every node has heard of a stopped key within a second.
async fn refused(farebox: &Farebox, key: &Key) {
    let deadline = Instant::now() + crate::support::size::heard_within();
    while status(farebox, key).await != 401 {
        assert!(Instant::now() < deadline, "it still works");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_key_is_stopped_once_and_those_whom_it_concerns_are_told() {
    let scanner = Scanner::start().await;
    let farebox = with(&scanner).await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    let org = team::create(&mut ada, "Analytical Engines").await;
    let mut bob = Visitor::member(&farebox, "bob@example.com", "another horse battery").await;
    team::bring_in(&farebox, &mut ada, &mut bob, "bob@example.com", "member").await;
    team::open(&mut bob, &org).await;
    let receiver = Receiver::start().await;
    let hook = receiver::add(&mut ada, &receiver.url("/"), &["key.leaked"]).await;
    let key = Key { text: team::key(&mut bob, "Plugin").await, org, id: String::new() };
    let other = farebox.key("ada@example.com", "5", &[]).await;
    let noise = format!("sk-fb-v1-{}", "0".repeat(70));
    let unknown = farebox::keys::PlainKey::fresh();
    let body = matches(&[&key.text, &noise, unknown.reveal(), &key.text]);
    let (found, verdicts) = scanner.tell(&farebox, &body).await;
    assert_eq!(found, 200, "{}", farebox.log());
    let labels: Vec<_> = verdicts.as_array().expect("verdicts").iter().map(|one| one["label"].clone()).collect();
    assert_eq!(labels, ["true_positive", "false_positive", "false_positive", "true_positive"]);
    assert_eq!(verdicts[0]["token_hash"], Digest::of(&key.text).to_hex());
    assert_eq!(verdicts[0]["token_type"], "farebox_api_key");
    assert!(!verdicts.to_string().contains(&key.text), "the secret is not repeated");
    refused(&farebox, &key).await;
    assert_eq!(status(&farebox, &other).await, 200);
    let mails = "select string_agg(distinct recipient, ' ' order by recipient) || ' ' || count(*)::text from mail where kind = 'key_leaked'";
    let told = farebox.text(mails).await;
    assert!(told.contains("ada@example.com") && told.contains("bob@example.com") && told.ends_with(" 2"), "{told}");
    let text = farebox.text("select string_agg(text_body, ' ') from mail where kind = 'key_leaked'").await;
    assert!(text.contains("https://example.com/a/b.txt") && !text.contains(&key.text), "{text}");
    assert_eq!(farebox.text("select count(*)::text from audit_entry where action = 'key.leaked'").await, "1");

    // A program hears of it, without the secret and without the page that has it.
    let data = receiver.told("key.leaked", &hook).await;
    let id = farebox.text("select 'key_' || replace(id::text, '-', '') from api_key where name = 'Plugin'").await;
    let said =
        json!({ "organization": key.org, "key": id, "name": "Plugin", "secret": "current", "found_at": "example.com" });
    assert_eq!(data, said);

    // The same message again does no more, and is answered alike.
    assert_eq!(scanner.tell(&farebox, &body).await, (200, verdicts));
    assert_eq!(farebox.text("select count(*)::text from mail where kind = 'key_leaked'").await, "2");
    assert_eq!(farebox.text("select count(*)::text from audit_entry where action = 'key.leaked'").await, "1");
    assert_eq!(receiver.came().len(), 1);
    assert_eq!(scanner.asked.load(Ordering::SeqCst), 1, "the scanner's keys are remembered");
    assert!(!farebox.log().contains(&key.text));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_else_can_stop_a_key() {
    let scanner = Scanner::start().await;
    let farebox = with(&scanner).await;
    let key = farebox.key("ada@example.com", "5", &[]).await;
    let body = matches(&[&key.text]);
    let good = scanner.sign(&body);
    let stranger = pair().sign(&SystemRandom::new(), body.as_bytes()).expect("a signature");
    for (sent, name, signature) in [
        (body.as_str(), "current", STANDARD.encode(stranger.as_ref())),
        (body.as_str(), "current", String::new()),
        (body.as_str(), "current", "not base 64".to_owned()),
        (body.as_str(), "unknown", good.clone()),
        (body.as_str(), "", good.clone()),
        (&format!("{body} "), "current", good.clone()),
    ] {
        assert_eq!(post(&farebox, sent, name, &signature).await.0, 400, "{name} {signature}");
    }
    assert!(scanner.asked.load(Ordering::SeqCst) <= 2, "unknown names do not make us ask each time");
    for odd in ["{}", "null", "[1]", "x"] {
        assert_eq!(scanner.tell(&farebox, odd).await.0, 400, "{odd}");
    }
    assert_eq!(scanner.tell(&farebox, "[]").await, (200, json!([])));
    assert_eq!(status(&farebox, &key).await, 200, "the key works on");
    // Not switched on, nothing is there.
    let off = Farebox::start().await;
    assert_eq!(post(&off, &body, "current", &good).await.0, 404);
    // Where the scanner's keys cannot be had, the message has to come again.
    let env = vec![("FAREBOX_LEAK_KEYS_URL", "http://127.0.0.1:9/keys".to_owned())];
    let away = Farebox::with(Options { env, ..Options::default() }).await;
    assert_eq!(post(&away, &body, "current", &good).await.0, 503);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_published_provisioning_key_takes_what_it_issued_with_it() {
    let scanner = Scanner::start().await;
    let farebox = with(&scanner).await;
    let manager = provisioning(&farebox, "ada@example.com", "5", &[]).await;
    let (issued, _) = issue(&farebox, &manager, json!({ "name": "below" })).await;
    assert_eq!(status(&farebox, &issued).await, 200);
    assert_eq!(scanner.tell(&farebox, &matches(&[&manager.text])).await.0, 200);
    refused(&farebox, &issued).await;
    // A secret that was replaced ends at once; the key itself goes on.
    let key = farebox.key("ada@example.com", "", &[]).await;
    let old = farebox::keys::PlainKey::fresh();
    sqlx::query(
        "update api_key set previous_digest = $1, previous_until = now() + interval '1 day' where deleted_at is null",
    )
    .bind(old.digest().as_bytes())
    .execute(&farebox.pool)
    .await
    .expect("a change");
    let replaced = Key { text: old.reveal().to_owned(), ..key.clone() };
    assert_eq!(status(&farebox, &replaced).await, 200);
    assert_eq!(scanner.tell(&farebox, &matches(&[&replaced.text])).await.1[0]["label"], "true_positive");
    refused(&farebox, &replaced).await;
    assert_eq!(status(&farebox, &key).await, 200);
}
