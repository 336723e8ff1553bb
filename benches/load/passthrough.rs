//! The yardstick: the least that a proxy of the same parts (actix, reqwest) can do. No keys, no books.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use futures_util::TryStreamExt;

use crate::upstream::{Server, run, without_delay};

const WORKERS: usize = 2;
const KEEP_ALIVE: Duration = Duration::from_secs(120);

struct Upstream {
    client: reqwest::Client,
    url: String,
}

/// Forwards every request to the chat completions of `upstream`.
///
/// # Errors
/// When no port can be had or the server does not start.
pub fn start(upstream: SocketAddr) -> anyhow::Result<Server> {
    let url = format!("http://{upstream}/v1/chat/completions");
    run("pass-through", move |listener| {
        // One client for each worker: no connection crosses threads, which is the best this pair can do.
        let server = HttpServer::new(move || {
            let upstream = web::Data::new(Upstream { client: client(), url: url.clone() });
            App::new().app_data(upstream).default_service(web::to(forward))
        });
        Ok(server
            .on_connect(without_delay)
            .workers(WORKERS)
            .keep_alive(KEEP_ALIVE)
            .disable_signals()
            .listen(listener)?
            .run())
    })
}

#[expect(clippy::disallowed_methods, reason = "the yardstick has none of the guards of the product")]
fn client() -> reqwest::Client {
    reqwest::Client::new()
}

async fn forward(request: HttpRequest, body: web::Bytes, upstream: web::Data<Upstream>) -> HttpResponse {
    let mut call = upstream.client.post(&upstream.url).body(body);
    for name in [AUTHORIZATION, CONTENT_TYPE] {
        if let Some(value) = request.headers().get(&name) {
            call = call.header(name.as_str(), value.as_bytes());
        }
    }
    match call.send().await {
        Ok(answer) => relay(answer).await,
        Err(_) => HttpResponse::BadGateway().finish(),
    }
}

async fn relay(answer: reqwest::Response) -> HttpResponse {
    let Ok(status) = actix_web::http::StatusCode::from_u16(answer.status().as_u16()) else {
        return HttpResponse::BadGateway().finish();
    };
    let mut response = HttpResponse::build(status);
    let kind = answer.headers().get("content-type").map(|value| value.as_bytes().to_vec());
    let streamed = kind.as_deref().is_some_and(|kind| kind.starts_with(b"text/event-stream"));
    if let Some(kind) = kind {
        response.insert_header((CONTENT_TYPE, kind));
    }
    if streamed {
        return response.streaming(answer.bytes_stream().map_err(std::io::Error::other));
    }
    match answer.bytes().await {
        Ok(bytes) => response.body(bytes),
        Err(_) => HttpResponse::BadGateway().finish(),
    }
}
