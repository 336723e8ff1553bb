//! Addresses that lead where they must not: every spelling of one, as the address of a provider, in a call and in the test
//! of an own key. Nothing is connected to, and a redirect is no way around.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::management::{ask, provisioning};
use crate::support::visitor::Visitor;
use crate::support::{Farebox, Key, Options, lab};

const EMAIL: &str = "ada@example.com";
const PASSWORD: &str = "correct horse battery";

/// Hosts as somebody writes them, `PORT` for that of the trap where it is reached by its own address.
pub const HOSTS: &[&str] = &[
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7F.0x0.0x0.0x1",
    "0177.0.0.1",
    "017700000001",
    "0177.0.0.01",
    "0",
    "0.0.0.0",
    "0x0",
    "0.0",
    "00.0.0.0",
    "localhost",
    "LOCALHOST",
    "LocalHost",
    "localhost.",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:7f00:1::]",
    "[::ffff:0:127.0.0.1]",
    "[fe80::1]",
    "[fec0::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "10.0.0.1",
    "10.1",
    "0xa.0.0.1",
    "012.0.0.1",
    "167772161",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.1",
    "3232235521",
    "0xc0a80001",
    "169.254.169.254",
    "169.254.43518",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "203.0.113.1",
    "１２７.0.0.1",
    "①②⑦.0.0.1",
    "127。0。0。1",
    "ⓛocalhost",
    "%31%32%37.0.0.1",
];

/// Something on this machine that nobody may reach; counts who connects.
struct Trap {
    port: u16,
    hits: Arc<AtomicUsize>,
}

impl Trap {
    async fn start() -> Trap {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let hits = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&hits);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await;
            }
        });
        Trap { port, hits }
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }
}

fn provider(text: &mut String, slug: &str, base_url: &str) {
    let _ = write!(
        text,
        "[[providers]]\nslug = \"{slug}\"\nname = \"Lab {slug}\"\nkind = \"openai\"\nbase_url = \"{base_url}\"\n\
         cancel_stops_billing = true\ntrains_on_inputs = false\nretains_logs = false\n\n"
    );
}

fn model(text: &mut String, slug: &str) {
    let _ = write!(
        text,
        "[[models]]\nid = \"lab/{slug}\"\nname = \"lab/{slug}\"\ndescription = \"A model of the tests.\"\n\
         created = 1767225600\ncontext_length = 32000\nmax_output = 4096\ninput_modalities = [\"text\"]\n\
         output_modalities = [\"text\"]\ntokenizer = \"Other\"\nsupported_parameters = [\"max_tokens\"]\n\n\
         [[endpoints]]\nmodel = \"lab/{slug}\"\nprovider = \"{slug}\"\nupstream_model = \"x\"\ncontext_length = 32000\n\
         max_output = 4096\nsupported_parameters = [\"max_tokens\"]\nprice = {{ prompt = \"1\", completion = \"2\" }}\n\n"
    );
}

async fn call(farebox: &Farebox, key: &Key, slug: &str) -> (u16, Value) {
    let answer = farebox.chat(key, &format!("lab/{slug}"), "Hi.", json!({})).await;
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_forbidden_address_is_connected_to() {
    assert!(HOSTS.len() >= 60, "{}", HOSTS.len());
    let trap = Trap::start().await;
    let mut text = String::new();
    let mut slugs = Vec::new();
    for (at, host) in HOSTS.iter().enumerate() {
        // An address that a catalog does not even take is refused once, here.
        let slug = format!("p{at}");
        let base_url = format!("https://{host}:{}/v1", trap.port);
        if url::Url::parse(&base_url).is_err() {
            continue;
        }
        provider(&mut text, &slug, &base_url);
        model(&mut text, &slug);
        slugs.push((slug, *host));
    }
    assert!(slugs.len() >= 60, "{} can be written into a catalog", slugs.len());
    let env = vec![("FAREBOX_ALLOW_PRIVATE_UPSTREAMS", "false".to_owned())];
    let farebox = lab::start(&text, Options { env, ..Options::default() }).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let key = farebox.key(EMAIL, "10", &[]).await;
    for (slug, host) in &slugs {
        let (status, told) = call(&farebox, &key, slug).await;
        assert_eq!(status, 502, "{host}: {told}");
        assert!(!told.to_string().contains(&trap.port.to_string()), "an error names no address: {told}");
    }
    // A key of one's own is not sent there either, when a person tests it and when it is used; stored by a program or on the page.
    let manager = provisioning(&farebox, EMAIL, "", &[]).await;
    let token = ada.token("/settings/integrations/p0").await;
    for (at, (slug, host)) in slugs.iter().enumerate() {
        let (page, secret) = (format!("/settings/integrations/{slug}"), "sk-ssrf-0123456789abcdef");
        if at % 2 == 0 {
            let stored = ada.post(&token, &page, &[("api_key", secret), ("mode", "only")]).await;
            assert_eq!(stored.status, 303, "{host}: {}", stored.body);
        } else {
            let body = json!({ "provider": slug, "key": secret, "is_byok_only": true });
            ask(&farebox, &manager, ("POST", "/api/v1/byok"), Some(body), 201).await;
        }
        assert_eq!(ada.post(&token, &format!("{page}/test"), &[]).await.status, 303);
        let shown = ada.get(&page).await.body;
        let said = shown.contains("may not be called from here") || shown.contains("could not be reached");
        assert!(said, "{host}: {shown}");
        assert_eq!(call(&farebox, &key, slug).await.0, 502, "{host}");
    }
    assert_eq!(trap.hits(), 0, "somebody got through");
    farebox.holds_are_closed().await;
    farebox.books_are_clean().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_are_not_followed_wherever_they_lead() {
    let trap = Trap::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let (target, asked) = (trap.port, Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let at = count.fetch_add(1, Ordering::SeqCst);
            let status = [301, 302, 303, 307, 308][at % 5];
            let mut request = [0; 4_096];
            let _ = stream.read(&mut request).await;
            let answer = format!(
                "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:{target}/v1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    let mut text = String::new();
    provider(&mut text, "turns", &format!("http://127.0.0.1:{port}/v1"));
    model(&mut text, "turns");
    // Private addresses are allowed here, so the target itself would be reached.
    let farebox = lab::start(&text, Options::default()).await;
    let mut ada = Visitor::member(&farebox, EMAIL, PASSWORD).await;
    let key = farebox.key(EMAIL, "10", &[]).await;
    for _ in 0..5 {
        let (status, told) = call(&farebox, &key, "turns").await;
        assert_eq!(status, 502, "{told}");
    }
    let page = "/settings/integrations/turns";
    assert_eq!(ada.submit(page, page, &[("api_key", "sk-ssrf-0123456789abcdef"), ("mode", "only")]).await.status, 303);
    ada.submit(page, "/settings/integrations/turns/test", &[]).await;
    assert!(ada.get(page).await.body.contains("another address, which is not followed"));
    assert!(asked.load(Ordering::SeqCst) >= 6 && trap.hits() == 0, "{} followed", trap.hits());
}
