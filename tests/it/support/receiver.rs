//! Whoever takes webhooks: keeps what comes, word for word, and answers as it is told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::visitor::{Visitor, between, form};

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answer {
    Status(u16, &'static str),
    /// Another address, which must not be asked.
    Turns(u16, String),
    /// A status, and then a body without an end.
    Endless(u16),
    /// Nothing, for ever.
    Hangs,
    /// 200, after a while.
    Slow(Duration),
}

/// One message.
#[derive(Clone, Debug)]
pub struct Came {
    pub path: String,
    pub head: Vec<(String, String)>,
    pub body: String,
}

impl Came {
    pub fn header(&self, name: &str) -> &str {
        self.head.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    pub fn id(&self) -> &str {
        self.header("webhook-id")
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// How many of its signatures a secret made. HMAC by hand, from the hash alone.
    pub fn signed_with(&self, secret: &str) -> usize {
        let key = STANDARD.decode(secret.strip_prefix("whsec_").expect("a secret")).expect("base64");
        let text = format!("{}.{}.{}", self.id(), self.header("webhook-timestamp"), self.body);
        let expected = format!("v1,{}", STANDARD.encode(hmac(&key, text.as_bytes())));
        self.header("webhook-signature").split(' ').filter(|one| *one == expected).count()
    }
}

/// A webhook as its owner has it.
pub struct Mine {
    pub page: String,
    pub secret: String,
}

/// Adds a webhook as a person does, for these events or for all.
pub async fn add(visitor: &mut Visitor<'_>, url: &str, events: &[&str]) -> Mine {
    const PAGE: &str = "/settings/webhooks";
    let page = visitor.get("/settings/webhooks/new").await.body;
    let id = form(&page, PAGE).into_iter().find(|(name, _)| name == "id").map(|(_, id)| id).expect("an id");
    let mut fields = vec![("id", id.as_str()), ("url", url), ("description", "Lab")];
    fields.push(("which", if events.is_empty() { "all" } else { "some" }));
    fields.extend(events.iter().map(|event| ("event", *event)));
    let made = visitor.submit("/settings/webhooks/new", PAGE, &fields).await;
    assert_eq!(made.status, 200, "{}", made.body);
    Mine { page: format!("{PAGE}/{id}"), secret: shown_secret(&made.body) }
}

/// The secret that a page shows, as it is.
pub fn shown_secret(page: &str) -> String {
    let text = between(page, "<code id=\"secret\">", "<");
    text.replace("&#x2f;", "/").replace("&#47;", "/").replace("&#x3d;", "=").replace("&#61;", "=").replace("&#43;", "+")
}

/// RFC 2104, with SHA-256.
fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let pad = |with: u8| block.map(|byte| byte ^ with);
    let inner = Sha256::digest([pad(0x36).as_slice(), text].concat());
    Sha256::digest([pad(0x5c).as_slice(), inner.as_slice()].concat()).to_vec()
}

#[derive(Default)]
struct State {
    came: Vec<Came>,
    /// Answers for the next ones; then `usual`.
    next: Vec<Answer>,
    usual: Option<Answer>,
    open: usize,
    most_open: usize,
}

pub struct Receiver {
    pub port: u16,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    pub async fn start() -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(talk(socket, Arc::clone(&shared)));
            }
        });
        Receiver { port, state }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn answers(&self, answer: Answer) {
        self.state.lock().expect("the state").usual = Some(answer);
    }

    pub fn answers_once(&self, answer: Answer) {
        self.state.lock().expect("the state").next.push(answer);
    }

    pub fn came(&self) -> Vec<Came> {
        self.state.lock().expect("the state").came.clone()
    }

    /// How many were open at the same time at most.
    pub fn most_open(&self) -> usize {
        self.state.lock().expect("the state").most_open
    }

    /// Waits until so many messages came, at most twenty seconds.
    pub async fn has(&self, count: usize) -> Vec<Came> {
        for _ in 0..400 {
            let came = self.came();
            if came.len() >= count {
                return came;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} messages came, not {count}", self.came().len());
    }
}

impl Receiver {
    /// What the first message of a type says, which one secret signed and no mail address is in; waits for it twenty seconds.
    pub async fn told(&self, kind: &str, mine: &Mine) -> serde_json::Value {
        for _ in 0..400 {
            if let Some(came) = self.came().into_iter().find(|came| came.json()["type"] == kind) {
                assert_eq!(came.signed_with(&mine.secret), 1, "{came:?}");
                assert_eq!(came.json()["id"], came.id());
                assert!(!came.body.contains('@'), "{}", came.body);
                return came.json()["data"].clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no {kind} came, but {:?}", self.came());
    }
}

/// One request for each connection, so that nothing is hidden behind a connection that is kept.
async fn talk(mut socket: TcpStream, state: Arc<Mutex<State>>) {
    let Some(came) = read(&mut socket).await else { return };
    let answer = {
        let mut state = state.lock().expect("the state");
        state.came.push(came);
        state.open += 1;
        state.most_open = state.most_open.max(state.open);
        if state.next.is_empty() {
            state.usual.clone().unwrap_or(Answer::Status(204, ""))
        } else {
            state.next.remove(0)
        }
    };
    say(&mut socket, answer).await;
    state.lock().expect("the state").open -= 1;
}

async fn say(socket: &mut TcpStream, answer: Answer) {
    let plain = |status: u16, more: &str, body: &str| {
        format!("HTTP/1.1 {status} X\r\n{more}content-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    };
    match answer {
        Answer::Status(status, body) => {
            let _ = socket.write_all(plain(status, "", body).as_bytes()).await;
        }
        Answer::Turns(status, to) => {
            let _ = socket.write_all(plain(status, &format!("location: {to}\r\n"), "").as_bytes()).await;
        }
        Answer::Endless(status) => {
            let head = format!("HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n");
            let _ = socket.write_all(head.as_bytes()).await;
            // Until the other side has had enough, at most 64 MB.
            let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
            for _ in 0..1_024 {
                if socket.write_all(chunk.as_bytes()).await.is_err() {
                    break;
                }
            }
        }
        Answer::Hangs => tokio::time::sleep(Duration::from_secs(120)).await,
        Answer::Slow(while_) => {
            tokio::time::sleep(while_).await;
            let _ = socket.write_all(plain(200, "", "ok").as_bytes()).await;
        }
    }
}

async fn read(socket: &mut TcpStream) -> Option<Came> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if bytes.len() > 65_536 || socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let path = text.split(' ').nth(1)?.to_owned();
    let head: Vec<(String, String)> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = head.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    while bytes.len() < end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(Came { path, head, body: String::from_utf8(bytes[end..end + length].to_vec()).ok()? })
}
