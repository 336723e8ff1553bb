//! The cheapest client that still reads every answer to its end: it shares the cores with what it measures.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::FIRST_TOKEN;

/// Far more than the fake upstream ever sends.
const MAX_ANSWER: usize = 1024 * 1024;
/// How much of a bad answer is shown.
const SHOWN: usize = 300;
/// No call of this driver may take longer, slow streams included.
const CALL_LIMIT: Duration = Duration::from_secs(120);

/// A POST of JSON, ready to be written.
pub fn post(address: SocketAddr, path: &str, key: &str, body: &str) -> Vec<u8> {
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

pub fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").into_bytes()
}

/// How long a good answer took.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Until its first token, for streams.
    pub first_token: Option<Duration>,
    pub total: Duration,
}

/// One keep-alive connection with one call at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Makes one call. `started` counts streams whose first token has come.
    ///
    /// # Errors
    /// When the connection breaks or the status is not 200; the connection is of no use afterwards.
    pub async fn call(&mut self, request: &[u8], started: Option<&AtomicUsize>) -> io::Result<Timing> {
        match tokio::time::timeout(CALL_LIMIT, self.call_unbounded(request, started)).await {
            Ok(result) => result,
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    async fn call_unbounded(&mut self, request: &[u8], started: Option<&AtomicUsize>) -> io::Result<Timing> {
        let begun = Instant::now();
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut first_token = None;
        let mut head: Option<Head> = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if self.buffer.len() > MAX_ANSWER {
                return Err(io::Error::other("an answer longer than anything the upstream sends"));
            }
            if head.is_none() {
                head = Head::read(&self.buffer)?;
            }
            let Some(head) = &mut head else { continue };
            if head.streamed && first_token.is_none() && contains(&self.buffer, FIRST_TOKEN) {
                first_token = Some(begun.elapsed());
                if let Some(started) = started {
                    started.fetch_add(1, Ordering::Relaxed);
                }
            }
            if head.is_complete(&self.buffer)? {
                break;
            }
        }
        match head {
            Some(Head { status: 200, .. }) => Ok(Timing { first_token, total: begun.elapsed() }),
            _ => {
                let shown = &self.buffer[..self.buffer.len().min(SHOWN)];
                Err(io::Error::other(String::from_utf8_lossy(shown).into_owned()))
            }
        }
    }
}

enum Body {
    /// Ends at this offset.
    Until(usize),
    /// The next chunk's size stands at this offset.
    Chunked(usize),
}

struct Head {
    status: u16,
    streamed: bool,
    body: Body,
}

impl Head {
    /// None while the headers are not complete.
    fn read(buffer: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = find(buffer, b"\r\n\r\n") else { return Ok(None) };
        let bad = || io::Error::other("not an HTTP/1.1 answer");
        let text = std::str::from_utf8(&buffer[..end]).map_err(|_| bad())?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.get(9..12)).and_then(|code| code.parse().ok());
        let mut head = Self { status: status.ok_or_else(bad)?, streamed: false, body: Body::Until(end + 4) };
        for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("content-length") {
                head.body = Body::Until(end + 4 + value.parse::<usize>().map_err(|_| bad())?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.body = Body::Chunked(end + 4);
            } else if name.eq_ignore_ascii_case("content-type") {
                head.streamed = value.starts_with("text/event-stream");
            }
        }
        Ok(Some(head))
    }

    fn is_complete(&mut self, buffer: &[u8]) -> io::Result<bool> {
        let at = match &mut self.body {
            Body::Until(end) => return Ok(buffer.len() >= *end),
            Body::Chunked(at) => at,
        };
        while *at < buffer.len() {
            let Some(line) = find(&buffer[*at..], b"\r\n") else { return Ok(false) };
            let size = std::str::from_utf8(&buffer[*at..*at + line])
                .ok()
                .and_then(|hex| usize::from_str_radix(hex, 16).ok())
                .ok_or_else(|| io::Error::other("not a chunk's size"))?;
            let next = *at + line + 2 + size + 2;
            if buffer.len() < next {
                return Ok(false);
            }
            *at = next;
            if size == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    find(haystack, needle).is_some()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
