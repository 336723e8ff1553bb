//! A shop that takes webhooks, and remembers each as it came.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;
use url::Url;

/// How long a test waits for deliveries.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct State {
    /// Answers 500 so often before it is well.
    ill: usize,
    taken: Vec<Webhook>,
}

/// A delivery as it came.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub body: String,
    pub signature: String,
}

impl Webhook {
    pub fn kind(&self) -> String {
        let event: Value = serde_json::from_str(&self.body).expect("JSON");
        event["type"].as_str().expect("a type").to_owned()
    }
}

/// A running shop. Dropping it stops it.
pub struct Shop {
    state: Arc<Mutex<State>>,
    handle: ServerHandle,
    port: u16,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(state: web::Data<Mutex<State>>, request: HttpRequest, body: String) -> HttpResponse {
    let mut state = locked(&state);
    if state.ill > 0 {
        state.ill -= 1;
        return HttpResponse::build(StatusCode::INTERNAL_SERVER_ERROR).finish();
    }
    let header = request.headers().get("Stripe-Signature").and_then(|value| value.to_str().ok());
    let signature = header.unwrap_or_default().to_owned();
    state.taken.push(Webhook { body, signature });
    HttpResponse::Ok().finish()
}

impl Shop {
    pub fn open() -> Shop {
        let socket = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = HttpServer::new(move || {
            App::new().app_data(web::Data::from(Arc::clone(&shared))).route("/webhook", web::post().to(take))
        });
        let server = server.workers(1).disable_signals().listen(socket).expect("a server").run();
        let handle = server.handle();
        tokio::spawn(server);
        Shop { state, handle, port }
    }

    pub fn webhook(&self) -> Url {
        format!("http://127.0.0.1:{}/webhook", self.port).parse().expect("an address")
    }

    pub fn is_ill(&self, times: usize) {
        locked(&self.state).ill = times;
    }

    pub fn taken(&self) -> Vec<Webhook> {
        locked(&self.state).taken.clone()
    }

    pub fn kinds(&self) -> Vec<String> {
        self.taken().iter().map(Webhook::kind).collect()
    }

    /// Waits until so many deliveries have come.
    pub async fn wait_for(&self, count: usize) -> Vec<Webhook> {
        let waited = tokio::time::timeout(PATIENCE, async {
            while self.taken().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        assert!(waited.await.is_ok(), "{count} deliveries, but there are {:?}", self.kinds());
        self.taken()
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}
