//! What it costs to find out who calls.

use std::time::Duration;

use farebox::base::Clock;
use farebox::db::listen::Hearing;
use farebox::keys::{AuthError, KeyCache, PlainKey};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

/// A database that nobody answers for: whoever asks it fails.
fn cache_without_database() -> KeyCache {
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(1).username("x").database("x");
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(200)).connect_lazy_with(options);
    KeyCache::new(pool, Hearing::default())
}

#[tokio::test]
async fn what_cannot_be_a_key_never_reaches_the_database() {
    let (cache, now) = (cache_without_database(), Clock::system().now());
    let key = PlainKey::fresh().reveal().to_owned();
    // With the right checksum the database is asked, which shows here as its absence.
    assert!(matches!(cache.authenticate(&key, now).await, Err(AuthError::Unavailable(_))));
    let (body, checksum) = key.split_at(key.len() - 6);
    let other = if checksum == "000000" { "000001" } else { "000000" };
    let mut wrong = vec![
        String::new(),
        "sk-fb-v1-".into(),
        "sk-or-v1-0000".into(),
        format!("{body}{other}"),
        key.replace('f', "e"),
    ];
    for place in 9..key.len() {
        let mut bytes = key.clone().into_bytes();
        bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
        wrong.push(String::from_utf8(bytes).expect("ASCII"));
    }
    wrong.retain(|text| *text != key);
    for text in wrong {
        assert!(matches!(cache.authenticate(&text, now).await, Err(AuthError::Unknown)), "{text}");
    }
}
