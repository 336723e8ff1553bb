//! An HTTP client for this machine.

use std::time::Duration;

#[expect(
    clippy::disallowed_methods,
    reason = "the server under test is on this machine, where the guarded client does not go"
)]
pub fn client() -> reqwest::Client {
    // Somebody else may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(60))
        .build()
        .expect("a client")
}
