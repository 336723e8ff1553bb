//! The answer on the wire: pieces with what they stand for, how they end, and the log of what was sent.

use std::collections::VecDeque;
use std::future::{pending, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::{Stream, StreamExt, stream};

use super::script::Behaviour;
use super::server::State;

/// Bytes are on their way before the connection is broken.
const BEFORE_BREAK: Duration = Duration::from_millis(30);
/// Keeps the pieces of a split answer in packets of their own.
const BETWEEN_SPLITS: Duration = Duration::from_millis(1);
/// Lengths of the pieces of a split answer, in turn. They have no common rhythm with lines or characters.
const SPLITS: [usize; 6] = [1, 7, 2, 23, 3, 41];

/// Bytes, and what the client has got once it has read them.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    pub bytes: Vec<u8>,
    /// How many chunks with content end in this piece.
    pub chunks: usize,
    /// Tokens of the answer up to and with this piece; none when it has no content.
    pub tokens: Option<u64>,
    /// The usage is in it.
    pub usage: bool,
}

/// What comes after the last piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Complete,
    Hang,
    Break,
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Wire {
    pub pieces: VecDeque<Piece>,
    pub pause: Duration,
    pub end: End,
}

impl Wire {
    /// An event stream with the faults of `behaviour`; `error` is the protocol's error event.
    pub fn stream(behaviour: &Behaviour, pieces: Vec<Piece>, error: Vec<u8>) -> Self {
        let whole = |pieces| Self { pieces, pause: Duration::ZERO, end: End::Complete };
        match behaviour {
            Behaviour::Slow { ms_per_chunk, .. } => {
                Self { pause: Duration::from_millis(*ms_per_chunk), ..whole(pieces.into()) }
            }
            Behaviour::HangAfter(n) => Self { end: End::Hang, ..whole(first(pieces, *n)) },
            Behaviour::TruncatedStream(n) => Self { end: End::Break, ..whole(first(pieces, *n)) },
            Behaviour::ErrorInStream(n) => {
                let mut kept = first(pieces, *n);
                kept.push_back(Piece { bytes: error, ..Piece::default() });
                whole(kept)
            }
            Behaviour::SplitUtf8 => Self { pause: BETWEEN_SPLITS, ..whole(split(&pieces)) },
            Behaviour::CrLf => whole(pieces.into_iter().map(with_crlf).collect()),
            _ => whole(pieces.into()),
        }
    }

    /// A whole answer with the faults of `behaviour`.
    pub fn whole(behaviour: &Behaviour, piece: Piece) -> Self {
        let half = Piece { bytes: piece.bytes[..piece.bytes.len() / 2].to_vec(), ..Piece::default() };
        let (pieces, pause, end) = match behaviour {
            Behaviour::Slow { chunks, ms_per_chunk } => {
                (piece.into(), Duration::from_millis(*ms_per_chunk * *chunks as u64), End::Complete)
            }
            Behaviour::HangAfter(_) => (half.into(), Duration::ZERO, End::Hang),
            Behaviour::TruncatedStream(_) => (half.into(), Duration::ZERO, End::Break),
            Behaviour::SplitUtf8 => (split(&[piece]), BETWEEN_SPLITS, End::Complete),
            _ => (piece.into(), Duration::ZERO, End::Complete),
        };
        Self { pieces, pause, end }
    }

    /// The bytes, logged as they are handed to the connection.
    pub fn send(self, recorder: Recorder) -> impl Stream<Item = Result<Bytes, io::Error>> {
        let Wire { pieces, pause, end } = self;
        stream::unfold((pieces, recorder), move |(mut pieces, mut recorder)| async move {
            let Some(piece) = pieces.pop_front() else {
                return match end {
                    End::Complete => None,
                    End::Hang => pending().await,
                    End::Break => {
                        tokio::time::sleep(BEFORE_BREAK).await;
                        recorder.broken();
                        Some((Err(io::ErrorKind::ConnectionReset.into()), (pieces, recorder)))
                    }
                };
            };
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            recorder.sent(&piece);
            if pieces.is_empty() && end == End::Complete {
                recorder.completed();
            }
            Some((Ok(Bytes::from(piece.bytes)), (pieces, recorder)))
        })
        // After an error nothing more may be asked of a stream.
        .scan(false, |failed, item| {
            let over = std::mem::replace(failed, item.is_err());
            ready((!over).then_some(item))
        })
    }
}

impl From<Piece> for VecDeque<Piece> {
    fn from(piece: Piece) -> Self {
        Self::from([piece])
    }
}

/// Everything up to the `n`th chunk with content.
fn first(pieces: Vec<Piece>, n: usize) -> VecDeque<Piece> {
    let mut chunks = 0;
    pieces
        .into_iter()
        .take_while(|piece| {
            chunks += piece.chunks;
            chunks <= n && !piece.usage
        })
        .collect()
}

fn with_crlf(mut piece: Piece) -> Piece {
    // JSON escapes line feeds, so every one of them ends a line.
    piece.bytes = piece.bytes.iter().fold(Vec::new(), |mut out, byte| {
        if *byte == b'\n' {
            out.push(b'\r');
        }
        out.push(*byte);
        out
    });
    piece
}

/// The same bytes in pieces that respect nothing. What a piece stands for comes with its last byte.
fn split(pieces: &[Piece]) -> VecDeque<Piece> {
    let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.bytes.iter().copied()).collect();
    let mut marks = pieces
        .iter()
        .scan(0, |end, piece| {
            *end += piece.bytes.len();
            Some((*end, piece))
        })
        .peekable();
    let mut out = VecDeque::new();
    let mut begin = 0;
    for length in SPLITS.iter().cycle() {
        if begin == bytes.len() {
            break;
        }
        let planned = (begin + length).min(bytes.len());
        // Before the second and every later byte of a character, if there is one on the way.
        let inside = (begin + 1..planned).find(|at| bytes[*at] & 0b1100_0000 == 0b1000_0000);
        let end = inside.unwrap_or(planned);
        let mut cut = Piece { bytes: bytes[begin..end].to_vec(), ..Piece::default() };
        while let Some((_, piece)) = marks.next_if(|(mark, _)| *mark <= end) {
            cut.chunks += piece.chunks;
            cut.tokens = piece.tokens.or(cut.tokens);
            cut.usage |= piece.usage;
        }
        out.push_back(cut);
        begin = end;
    }
    out
}

/// Writes one entry of the log. Dropped before the end, it notes that the client left.
pub struct Recorder {
    state: Arc<State>,
    /// Which log: [`super::FakeUpstream::forget`] begins a new one.
    epoch: u64,
    index: usize,
    over: bool,
}

impl Recorder {
    pub fn new(state: Arc<State>, epoch: u64, index: usize) -> Self {
        Self { state, epoch, index, over: false }
    }

    pub fn sent(&self, piece: &Piece) {
        self.state.edit(self.epoch, self.index, |entry| {
            entry.chunks_sent += piece.chunks;
            entry.usage_sent |= piece.usage;
            if let Some(tokens) = piece.tokens {
                entry.completion_tokens_sent = tokens;
            }
        });
    }

    pub fn completed(&mut self) {
        self.over = true;
        self.state.edit(self.epoch, self.index, |entry| entry.completed = true);
    }

    /// We broke the connection ourselves: neither completed nor left by the client.
    fn broken(&mut self) {
        self.over = true;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        if !self.over {
            self.state.edit(self.epoch, self.index, |entry| {
                entry.client_cancelled_at = Some(entry.chunks_sent);
            });
        }
    }
}
