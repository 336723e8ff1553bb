//! The server: one worker, the API under `/v1`, the pages beside it.

use std::net::TcpListener;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::{App, HttpServer, web};

use super::stand_in::Shared;
use super::{api, pages};

/// More than any request of ours; Stripe's own limit is not published.
const MAX_BODY: usize = 256 * 1024;
/// One is enough for pretend money.
const WORKERS: usize = 1;

pub fn run(socket: TcpListener, shared: Arc<Shared>) -> anyhow::Result<ServerHandle> {
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&shared)))
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .route("/v1/{path:.*}", web::route().to(api::answer))
            .route("/_control/switches", web::get().to(api::switches))
            .route("/_control/switches", web::post().to(api::set_switches))
            .configure(pages::routes)
    });
    let server = server.workers(WORKERS).disable_signals().listen(socket)?.run();
    let handle = server.handle();
    tokio::spawn(server);
    Ok(handle)
}
