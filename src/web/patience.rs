//! Bodies that stop arriving: whoever sends the head of a request has to send the rest, within limits.
//!
//! The server itself bounds the first head of a connection and what lies between two requests. Without this, a connection whose
//! body never ends stays open for as long as its sender likes, also for strangers (CAPEC-469, HTTP DoS).

use std::cell::RefCell;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use bytes::Bytes;
use futures_util::Stream;
use tokio::time::{Instant, Sleep, sleep_until};

/// All of a body may take so many times what one piece of it may: with thirty seconds for a piece, the longest body of a call
/// needs a line of 270 kbit/s.
const PIECES: u32 = 20;

/// Pieces of a body that are here already and are thrown away at its end; what the server keeps of one is far less.
const MOST_PIECES: u32 = 4_096;

/// Of one connection: the body that was not read to its end. While it is here, the server knows that more of it is to come, and
/// closes the connection after the answer. It goes on waiting for what comes in pieces (`Transfer-Encoding: chunked`) where
/// nobody has the body any more.
#[derive(Clone, Default)]
pub struct Unread(Rc<RefCell<Option<Payload>>>);

/// The same body, which fails where it does not go on for `patience`, or goes on for twenty times that. Its reader answers
/// the request as one that could not be read.
pub(super) fn bounded(payload: Payload, patience: Duration, unread: Option<Unread>) -> Payload {
    match payload {
        Payload::None => Payload::None,
        rest => {
            let until = Instant::now() + patience * PIECES;
            let body = Bounded { rest, patience, until, waits: None, state: State::Open, unread };
            Payload::Stream { payload: Box::pin(body) }
        }
    }
}

/// Whether a body could not be read because it stopped arriving.
#[must_use]
pub fn has_stopped(error: &actix_web::Error) -> bool {
    matches!(error.as_error(), Some(PayloadError::Io(error)) if error.kind() == io::ErrorKind::TimedOut)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// There was no more of it, or it was broken.
    Ended,
    GivenUp,
}

struct Bounded {
    rest: Payload,
    patience: Duration,
    until: Instant,
    /// For the next piece, where it was not there at once.
    waits: Option<Pin<Box<Sleep>>>,
    state: State,
    unread: Option<Unread>,
}

impl Stream for Bounded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.state != State::Open {
            return Poll::Ready(None);
        }
        if let Poll::Ready(piece) = Pin::new(&mut self.rest).poll_next(context) {
            self.waits = None;
            if !matches!(piece, Some(Ok(_))) {
                self.state = State::Ended;
            }
            return Poll::Ready(piece);
        }
        let next = self.until.min(Instant::now() + self.patience);
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep_until(next)));
        if waits.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.state = State::GivenUp;
        let error = io::Error::new(io::ErrorKind::TimedOut, "the body stopped arriving");
        Poll::Ready(Some(Err(PayloadError::Io(error))))
    }
}

impl Drop for Bounded {
    fn drop(&mut self) {
        let (Some(unread), true) = (&self.unread, self.state != State::Ended) else { return };
        let mut rest = mem::replace(&mut self.rest, Payload::None);
        // What is here already would lie around for as long as the connection; it may also be all that there is.
        let mut nobody = Context::from_waker(Waker::noop());
        for _ in 0..MOST_PIECES {
            match Pin::new(&mut rest).poll_next(&mut nobody) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return,
                Poll::Pending => break,
            }
        }
        unread.0.replace(Some(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{StreamExt as _, stream};

    const PATIENCE: Duration = Duration::from_millis(200);

    /// A body of these pieces, each after so many milliseconds, and nothing after them, not even an end.
    fn body(pieces: Vec<(u64, &'static str)>) -> Payload {
        let pieces = stream::iter(pieces).then(|(wait, piece)| async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            Ok(Bytes::from_static(piece.as_bytes()))
        });
        bounded(Payload::Stream { payload: Box::pin(pieces.chain(stream::pending())) }, PATIENCE, None)
    }

    #[tokio::test]
    async fn a_body_fails_where_it_does_not_go_on() {
        let (mut body, began) = (body(vec![(0, "a"), (50, "b")]), Instant::now());
        assert_eq!(body.next().await.and_then(Result::ok).as_deref(), Some(&b"a"[..]));
        assert_eq!(body.next().await.and_then(Result::ok).as_deref(), Some(&b"b"[..]));
        let error = body.next().await.and_then(Result::err).expect("an error");
        assert!(has_stopped(&error.into()));
        assert!(began.elapsed() >= Duration::from_millis(250), "a piece within its time starts the next one's");
        assert!(body.next().await.is_none(), "nothing comes after it");
    }

    #[tokio::test]
    async fn a_body_that_trickles_ends_as_well() {
        let (mut body, began) = (body(vec![(50, "x"); 1_000]), Instant::now());
        let mut last = body.next().await;
        while let Some(Ok(_)) = last {
            last = body.next().await;
        }
        assert!(has_stopped(&last.and_then(Result::err).expect("an error").into()));
        assert!(began.elapsed() >= PATIENCE * PIECES, "each piece was in time, all of them were not");
    }

    /// A body of one piece that is here at once.
    fn piece() -> impl Stream<Item = Result<Bytes, PayloadError>> {
        stream::once(std::future::ready(Ok(Bytes::from_static(b"a"))))
    }

    #[tokio::test]
    async fn what_nobody_reads_is_kept_only_where_more_is_to_come() {
        let unread = Unread::default();
        let whole = || {
            let payload: Payload = Payload::Stream { payload: Box::pin(piece()) };
            bounded(payload, PATIENCE, Some(unread.clone()))
        };
        drop(whole());
        assert!(unread.0.take().is_none(), "all of it was here");
        let payload: Payload = Payload::Stream { payload: Box::pin(piece().chain(stream::pending())) };
        let mut half = bounded(payload, PATIENCE, Some(unread.clone()));
        assert!(half.next().await.is_some_and(|piece| piece.is_ok()));
        assert!(unread.0.borrow().is_none(), "somebody has it");
        drop(half);
        assert!(unread.0.take().is_some());
        let mut read = whole();
        while read.next().await.is_some() {}
        drop(read);
        assert!(unread.0.take().is_none());
    }
}
