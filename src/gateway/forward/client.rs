//! The client's end of an exchange: what was sent to it, and whether it is still there.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::{Answer, Timeouts};
use crate::gateway::error::ApiError;
use crate::privacy::Cut;

/// Chunks that wait for a slow client. When it is full the upstream is read no further.
const CHANNEL: usize = 32;
/// What a waiting client sees now and then; a comment in the language of event streams.
const KEEP_ALIVE: &[u8] = b": FAREBOX PROCESSING\n\n";

/// How a wait ended.
pub(super) enum Waited<T> {
    Done(T),
    /// The client is gone, and there is no reason to go on.
    Left,
    TimedOut,
}

pub(super) struct Client {
    head: Option<oneshot::Sender<Answer>>,
    body: Option<mpsc::Sender<Bytes>>,
    streamed: bool,
    /// A part of the answer was sent, not only a comment.
    sent: bool,
    gone_at: Option<Instant>,
    last_write: Instant,
    patience: Duration,
    keep_alive: Duration,
    drain: Duration,
    /// What was sent, where it is to be kept.
    kept: Option<Cut>,
}

impl Client {
    pub(super) fn new(head: oneshot::Sender<Answer>, streamed: bool, timeouts: Timeouts) -> Client {
        Client {
            head: Some(head),
            body: None,
            streamed,
            sent: false,
            gone_at: None,
            last_write: Instant::now(),
            patience: timeouts.idle,
            keep_alive: timeouts.keep_alive,
            drain: timeouts.drain,
            kept: None,
        }
    }

    /// How long the upstream is listened to once the client has left.
    pub(super) fn drain_for(&mut self, drain: Duration) {
        self.drain = drain;
    }

    /// From here on what is sent is kept, up to the limit of texts.
    pub(super) fn keep(&mut self) {
        self.kept = Some(Cut::default());
    }

    /// What was sent.
    pub(super) fn kept(&mut self) -> Option<Cut> {
        self.kept.take()
    }

    /// Whether the status and headers of a stream were sent.
    pub(super) fn is_open(&self) -> bool {
        self.body.is_some()
    }

    /// Whether a part of an answer was sent, so that no other endpoint may be asked.
    pub(super) fn has_sent(&self) -> bool {
        self.sent
    }

    /// Looks whether the client has left.
    pub(super) fn is_gone(&mut self) -> bool {
        let closed = match (&self.body, &self.head) {
            (Some(body), _) => body.is_closed(),
            (None, Some(head)) => head.is_closed(),
            (None, None) => false,
        };
        if closed && self.gone_at.is_none() {
            self.gone_at = Some(Instant::now());
        }
        self.gone_at.is_some()
    }

    /// Whether the upstream was given enough time to say what a call without a client has used.
    pub(super) fn drain_is_over(&self) -> bool {
        self.gone_at.is_some_and(|gone| Instant::now() >= gone + self.drain)
    }

    /// Waits for the upstream, and meanwhile for the client to leave, with a sign of life to it now and then.
    /// A wait that a leaving client ends drops `future`, which hangs up on the upstream.
    pub(super) async fn wait<T>(
        &mut self,
        future: impl Future<Output = T>,
        until: Instant,
        may_cancel: bool,
    ) -> Waited<T> {
        if may_cancel && self.is_gone() {
            return Waited::Left;
        }
        let mut future = pin!(future);
        loop {
            let wake = self.wake(until);
            tokio::select! {
                biased;
                out = &mut future => return Waited::Done(out),
                () = self.closed(), if self.gone_at.is_none() => {
                    self.gone_at = Some(Instant::now());
                    if may_cancel {
                        return Waited::Left;
                    }
                }
                () = sleep_until(wake) => {
                    if self.drain_is_over() {
                        return Waited::Left;
                    }
                    if Instant::now() >= until {
                        return Waited::TimedOut;
                    }
                    self.push(Bytes::from_static(KEEP_ALIVE)).await;
                }
            }
        }
    }

    /// Sends a piece of the answer, the headers before the first one. Waits for a slow client, but not forever.
    pub(super) async fn send(&mut self, bytes: Bytes) {
        self.sent = true;
        if let Some(kept) = &mut self.kept {
            kept.add(&bytes);
        }
        self.push(bytes).await;
    }

    /// Sends the whole answer.
    pub(super) fn whole(&mut self, body: Bytes) {
        if let Some(kept) = &mut self.kept {
            kept.add(&body);
        }
        self.answer(Answer::Whole(body));
    }

    /// Sends an error with its status; possible only before a stream was opened.
    pub(super) fn refuse(&mut self, error: ApiError) {
        self.answer(Answer::Error(error));
    }

    fn answer(&mut self, answer: Answer) {
        if let Some(head) = self.head.take()
            && head.send(answer).is_err()
        {
            self.gone_at.get_or_insert_with(Instant::now);
        }
    }

    async fn push(&mut self, bytes: Bytes) {
        if self.gone_at.is_some() {
            return;
        }
        if self.body.is_none() {
            let (sender, receiver) = mpsc::channel(CHANNEL);
            self.body = Some(sender);
            self.answer(Answer::Stream(receiver));
        }
        let Some(body) = &self.body else { return };
        let taken = match body.try_send(bytes) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(bytes)) => matches!(timeout(self.patience, body.send(bytes)).await, Ok(Ok(()))),
        };
        let now = Instant::now();
        self.last_write = now;
        if !taken {
            self.gone_at.get_or_insert(now);
        }
    }

    async fn closed(&mut self) {
        match (&self.body, &mut self.head) {
            (Some(body), _) => body.closed().await,
            (None, Some(head)) => head.closed().await,
            (None, None) => std::future::pending().await,
        }
    }

    fn wake(&self, until: Instant) -> Instant {
        match self.gone_at {
            Some(gone) => until.min(gone + self.drain),
            None if self.streamed => until.min(self.last_write + self.keep_alive),
            None => until,
        }
    }
}
