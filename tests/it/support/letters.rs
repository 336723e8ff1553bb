//! Many messages to one door, as a busy sender posts them: a few connections, several requests at once on each.
//!
//! A client library would cost more than the server under test does.

use std::io::Write as _;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Farebox;

/// Requests that are written before their answers are read.
const AT_ONCE: usize = 16;

/// A signed message.
#[derive(Clone, Debug)]
pub struct Letter {
    pub signature: String,
    pub body: Vec<u8>,
}

impl Letter {
    fn write(&self, out: &mut Vec<u8>, path: &str, host: &str) {
        let length = self.body.len();
        let _ = write!(
            out,
            "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n\
             stripe-signature: {}\r\ncontent-length: {length}\r\n\r\n",
            self.signature
        );
        out.extend_from_slice(&self.body);
    }
}

/// Posts every letter once, over so many connections. Panics unless each is answered with 200.
pub async fn post_all(farebox: &Farebox, path: &str, letters: &[&Letter], connections: usize) {
    let share = letters.len().div_ceil(connections).max(1);
    let posted = letters.chunks(share).map(|chunk| post(farebox, path, chunk));
    futures_util::future::join_all(posted).await;
}

async fn post(farebox: &Farebox, path: &str, letters: &[&Letter]) {
    let host = farebox.base.trim_start_matches("http://");
    let mut stream = TcpStream::connect(host).await.expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let mut answers = Answers::default();
    let mut out = Vec::new();
    for batch in letters.chunks(AT_ONCE) {
        out.clear();
        for letter in batch {
            letter.write(&mut out, path, host);
        }
        stream.write_all(&out).await.expect("written");
        for _ in batch {
            let status = answers.next(&mut stream).await;
            assert_eq!(status, 200, "{}", farebox.log());
        }
    }
}

/// Reads answers off a connection; all of them say how long they are.
#[derive(Default)]
struct Answers(Vec<u8>);

impl Answers {
    async fn next(&mut self, stream: &mut TcpStream) -> u16 {
        loop {
            if let Some((status, end)) = whole(&self.0) {
                self.0.drain(..end);
                return status;
            }
            let read = stream.read_buf(&mut self.0).await.expect("an answer");
            assert!(read > 0, "the connection was closed");
        }
    }
}

/// Status and end of the first answer, when all of it is there.
fn whole(bytes: &[u8]) -> Option<(u16, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).expect("a head");
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let length = |line: &str| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    };
    let end = head + text.lines().find_map(length).expect("a length");
    (bytes.len() >= end).then_some((status, end))
}
