//! What a starting server says, and what tells it to stop.

use crate::accounts::operator;
use crate::config::Config;
use crate::web::App;

pub fn announce(config: &Config, addr: Option<&std::net::SocketAddr>) {
    let addr = addr.map_or_else(|| config.listen.to_string(), ToString::to_string);
    tracing::info!(%addr, url = %config.public_url, "serving");
    if !config.is_production() {
        let url = config.public_url.as_str();
        eprintln!("\n  Farebox is running at {url}");
        eprintln!("  Create an account at {url}sign-up; its mail waits at {url}dev/mailbox.");
        eprintln!("  Sandbox models and payments need no account anywhere. Stop with Ctrl-C.\n");
    }
}

/// While nobody runs this instance, whoever sees its output may. Each start makes the links before it void.
pub async fn offer_operator(app: &App) -> anyhow::Result<()> {
    let mut conn = app.db.acquire().await?;
    if let Some(token) = operator::offer(&mut conn).await? {
        let mut url = app.public_url.clone();
        url.set_path("/operator/claim");
        url.query_pairs_mut().append_pair("token", token.expose());
        eprintln!("\n  This instance has no operator yet. Sign in and open this link, which works once:");
        eprintln!("  {url}\n");
    }
    Ok(())
}

pub async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
