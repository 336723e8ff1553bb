//! Answers and errors as HTTP responses.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use bytes::Bytes;
use futures_util::Stream;
use tokio::sync::mpsc;

use super::dialect::Protocol;
use super::error::ApiError;
use super::forward::Answer;
use crate::base::ids::CallId;

const GENERATION: &str = "X-Generation-Id";

/// The response to a call.
pub(crate) fn respond(protocol: Protocol, request_id: &str, id: CallId, answer: Answer) -> HttpResponse {
    let generation = (GENERATION, id.to_string());
    match answer {
        Answer::Whole(body) => HttpResponse::Ok()
            .insert_header(generation)
            .insert_header((CONTENT_TYPE, "application/json"))
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(body),
        // Named as identity so that no compressor holds back what should go out at once.
        Answer::Stream(receiver) => HttpResponse::Ok()
            .insert_header(generation)
            .insert_header((CONTENT_TYPE, "text/event-stream; charset=utf-8"))
            .insert_header((CONTENT_ENCODING, "identity"))
            .insert_header((CACHE_CONTROL, "no-cache, no-store"))
            .insert_header(("X-Accel-Buffering", "no"))
            .streaming(Listening(receiver)),
        Answer::Error(error) => error.builder().insert_header(generation).body(protocol.error_body(&error, request_id)),
    }
}

/// The response where there is no call.
pub(super) fn refuse(protocol: Protocol, request_id: &str, error: &ApiError) -> HttpResponse {
    error.builder().body(protocol.error_body(error, request_id))
}

/// A body that only listens: the task behind the channel does not care whether it is dropped.
struct Listening(mpsc::Receiver<Bytes>);

impl Stream for Listening {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|bytes| bytes.map(Ok))
    }
}
