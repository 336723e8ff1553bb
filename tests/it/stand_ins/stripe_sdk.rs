//! Stripe's own Python client works with the stand-in unchanged, so the stand-in speaks as Stripe does.

use std::net::TcpListener;
use std::process::{Command, Output};
use std::time::Duration;

use super::{KEY, SECRET, start};
use crate::support::clients;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_client_of_stripe_works_unchanged() {
    let stripe = start().await;
    // Free a moment ago; the client listens there as soon as it runs.
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|socket| socket.local_addr()).expect("a port").port();
    let shop = format!("http://127.0.0.1:{port}/").parse().expect("an address");
    stripe.set_webhook(Some(shop), vec!["whsec_old".to_owned(), SECRET.to_owned()]);
    let mut command = Command::new(clients::installed("py/bin/python"));
    command
        .arg("tests/clients/stripe_py_test.py")
        .env("STRIPE_BASE_URL", stripe.url().as_str())
        .env("STRIPE_KEY", KEY)
        .env("STRIPE_WEBHOOK_PORT", port.to_string())
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .current_dir(clients::root());
    let ran = tokio::task::spawn_blocking(move || command.output());
    let ran = tokio::time::timeout(Duration::from_secs(180), ran).await.expect("in time").expect("a thread");
    let Output { status, stdout, stderr } = ran.expect("the client starts");
    let words = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{words}");
}
