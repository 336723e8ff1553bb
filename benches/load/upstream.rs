//! A provider that answers as fast as a provider could: every byte is made beforehand.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;
use futures_util::stream;

/// Stands in the first chunk of a stream and nowhere else.
pub const FIRST_TOKEN: &[u8] = b"alpha";
/// The model whose streams are slow. Any other is fast.
pub const SLOW_MODEL: &str = "slow";

const WORKERS: usize = 2;
/// Between the first chunk of a fast stream and the rest, so that the first stands alone.
const AFTER_FIRST: Duration = Duration::from_millis(2);
/// Between the chunks of a slow stream.
pub const SLOW_PAUSE: Duration = Duration::from_millis(500);
const KEEP_ALIVE: Duration = Duration::from_secs(120);
const START_LIMIT: Duration = Duration::from_secs(20);

const WHOLE: &[u8] = br#"{"id":"chatcmpl-load","object":"chat.completion","created":1767225600,"model":"fast","choices":[{"index":0,"message":{"role":"assistant","content":"alpha beta gamma delta epsilon zeta eta theta"},"finish_reason":"stop"}],"usage":{"prompt_tokens":32,"completion_tokens":8,"total_tokens":40}}"#;

/// A server on a thread of its own, stopped when this is dropped.
pub struct Server {
    pub address: SocketAddr,
    handle: ServerHandle,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // The call itself sends the order; the future would only wait.
        drop(self.handle.stop(false));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Runs what `serve` makes out of a listener.
///
/// # Errors
/// When no port can be had or the server does not start.
pub fn run(
    name: &str,
    serve: impl FnOnce(TcpListener) -> std::io::Result<actix_web::dev::Server> + Send + 'static,
) -> anyhow::Result<Server> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            match serve(listener) {
                Ok(server) => {
                    let _ = sender.send(Ok(server.handle()));
                    if let Err(error) = server.await {
                        eprintln!("a server of the driver ended: {error}");
                    }
                }
                Err(error) => drop(sender.send(Err(error))),
            }
        });
    })?;
    let handle = receiver.recv_timeout(START_LIMIT).context("it does not start")??;
    Ok(Server { address, handle, thread: Some(thread) })
}

/// For `on_connect`: without it, the second piece of a stream waits until the first is acknowledged.
pub fn without_delay(io: &dyn std::any::Any, _: &mut actix_web::dev::Extensions) {
    if let Some(stream) = io.downcast_ref::<actix_web::rt::net::TcpStream>() {
        let _ = stream.set_nodelay(true);
    }
}

/// Serves `/v1/chat/completions`; a slow stream has this many chunks.
///
/// # Errors
/// As [`run`].
pub fn start(slow_chunks: usize) -> anyhow::Result<Server> {
    run("upstream", move |listener| {
        let server = HttpServer::new(move || {
            let route = web::post().to(move |body: Bytes| async move { answer(&body, slow_chunks) });
            App::new().route("/v1/chat/completions", route)
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

fn answer(body: &[u8], slow_chunks: usize) -> HttpResponse {
    let has = |needle: &[u8]| body.windows(needle.len()).any(|window| window == needle);
    if !has(br#""stream":true"#) && !has(br#""stream": true"#) {
        return HttpResponse::Ok().content_type("application/json").body(Bytes::from_static(WHOLE));
    }
    let (pieces, pause) = match has(br#""slow""#) {
        true => (slow_pieces(slow_chunks), SLOW_PAUSE),
        false => (fast_pieces(), AFTER_FIRST),
    };
    let stream = stream::unfold((pieces.into_iter(), false), move |(mut pieces, later)| async move {
        let piece = pieces.next()?;
        if later {
            tokio::time::sleep(pause).await;
        }
        Some((Ok::<_, std::io::Error>(Bytes::from(piece)), (pieces, true)))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(stream)
}

fn fast_pieces() -> Vec<String> {
    let rest = ["beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta"];
    let rest: String = rest.iter().map(|word| content(word)).collect();
    vec![content("alpha"), rest + &end(8)]
}

fn slow_pieces(chunks: usize) -> Vec<String> {
    let mut pieces = vec![content("alpha")];
    pieces.extend((1..chunks).map(|_| content("tick")));
    pieces.push(end(chunks));
    pieces
}

fn content(word: &str) -> String {
    chunk(&format!(
        r#""choices":[{{"index":0,"delta":{{"role":"assistant","content":"{word} "}},"finish_reason":null}}]"#
    ))
}

fn end(tokens: usize) -> String {
    let finish = chunk(r#""choices":[{"index":0,"delta":{},"finish_reason":"stop"}]"#);
    let usage = chunk(&format!(
        r#""choices":[],"usage":{{"prompt_tokens":32,"completion_tokens":{tokens},"total_tokens":{}}}"#,
        32 + tokens
    ));
    format!("{finish}{usage}data: [DONE]\n\n")
}

fn chunk(fields: &str) -> String {
    format!(
        "data: {{\"id\":\"chatcmpl-load\",\"object\":\"chat.completion.chunk\",\"created\":1767225600,\
         \"model\":\"fast\",{fields}}}\n\n"
    )
}
