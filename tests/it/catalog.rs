//! The catalog on a real Postgres. Each story takes a pool on a migrated database without a catalog.

use farebox::base::Usd;
use farebox::catalog::{CHANGED_CHANNEL, CatalogFile, Missing, UnitPrice, Usage, apply, cost, export, load, preview};
use sqlx::PgPool;
use sqlx::postgres::PgListener;

/// How long a notice may take to arrive.
const NOTICE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

fn shipped() -> CatalogFile {
    CatalogFile::shipped().expect("the shipped file is read")
}

/// The shipped file with another price for prompts of `sandbox/echo`, in dollars per million tokens.
fn with_echo_price(per_million: &str) -> CatalogFile {
    let mut file = shipped();
    for endpoint in file.endpoints.iter_mut().filter(|endpoint| endpoint.model.as_str() == "sandbox/echo") {
        endpoint.price.prompt = UnitPrice::parse_per_million(per_million).expect("a price");
    }
    file
}

pub async fn what_was_applied_is_exported_and_applies_with_no_changes(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    let foreseen = preview(&mut conn, &shipped(), Missing::Retire).await.unwrap();
    let done = apply(&mut conn, &shipped(), Missing::Retire).await.unwrap();
    assert_eq!(foreseen, done, "the preview is what happens");
    assert!(done.iter().all(|change| change.line.starts_with("+ ")));

    let text = export(&mut conn).await.unwrap().to_toml().unwrap();
    let exported = CatalogFile::parse(&text).unwrap();
    assert_eq!(apply(&mut conn, &exported, Missing::Retire).await.unwrap(), []);
    assert_eq!(apply(&mut conn, &shipped(), Missing::Retire).await.unwrap(), []);
}

pub async fn a_new_price_supersedes_and_the_old_version_can_never_change(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    apply(&mut conn, &shipped(), Missing::Keep).await.unwrap();
    let before = load(&mut conn).await.unwrap();
    let changes = apply(&mut conn, &with_echo_price("0.5"), Missing::Keep).await.unwrap();
    assert_eq!(changes.len(), 1);
    let after = load(&mut conn).await.unwrap();

    let [old, new] =
        [&before, &after].map(|catalog| catalog.model("sandbox/echo").unwrap().offers.first().unwrap().clone());
    assert_eq!(old.id, new.id, "it is the same endpoint");
    assert_ne!(old.price_version, new.price_version, "at another version of its price");
    let usage = Usage { prompt_tokens: 1_000_000, ..Usage::default() };
    let total = |price| cost(&usage, price).unwrap().total;
    assert_eq!(total(&old.endpoint.price), Usd::parse("1").unwrap(), "a call in flight keeps what it pinned");
    assert_eq!(total(&new.endpoint.price), Usd::parse("0.5").unwrap());

    let edit = sqlx::query("update price_version set prompt = 0").execute(&mut *conn).await;
    assert!(edit.unwrap_err().to_string().contains("never edited"));
    let removal = sqlx::query("delete from price_version").execute(&mut *conn).await;
    assert!(removal.unwrap_err().to_string().contains("never edited"));
}

pub async fn what_the_file_lacks_is_retired_only_when_asked_and_can_come_back(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    apply(&mut conn, &shipped(), Missing::Keep).await.unwrap();
    let mut part = shipped();
    part.models.retain(|model| model.slug.as_str() != "sandbox/slow");
    part.endpoints.retain(|endpoint| endpoint.model.as_str() != "sandbox/slow");

    assert_eq!(apply(&mut conn, &part, Missing::Keep).await.unwrap(), []);
    assert!(load(&mut conn).await.unwrap().model("sandbox/slow").is_some());

    assert_eq!(apply(&mut conn, &part, Missing::Retire).await.unwrap().len(), 2);
    assert!(load(&mut conn).await.unwrap().model("sandbox/slow").is_none());
    assert_eq!(export(&mut conn).await.unwrap().models.len(), part.models.len());
    assert_eq!(apply(&mut conn, &part, Missing::Retire).await.unwrap(), [], "it is retired once");

    let back = apply(&mut conn, &shipped(), Missing::Keep).await.unwrap();
    assert_eq!(back.len(), 2, "model and endpoint, and no new version of an unchanged price: {back:?}");
    assert!(load(&mut conn).await.unwrap().model("sandbox/slow").is_some());
}

pub async fn a_stored_key_opens_its_provider(pool: &PgPool) {
    let mut conn = pool.acquire().await.unwrap();
    apply(&mut conn, &shipped(), Missing::Keep).await.unwrap();
    let catalog = load(&mut conn).await.unwrap();
    assert!(catalog.open_models().all(|listed| listed.model.slug.author() == "sandbox"));

    sqlx::query(
        "insert into provider_secret (provider_id, key_id, nonce, ciphertext)
         select id, 'test', '\\x00', '\\x00' from provider where slug = 'groq'",
    )
    .execute(&mut *conn)
    .await
    .unwrap();
    let catalog = load(&mut conn).await.unwrap();
    assert!(catalog.provider("groq").unwrap().is_open());
    assert!(catalog.model("openai/gpt-oss-20b").unwrap().is_open());
    assert!(!catalog.model("openai/gpt-5").unwrap().is_open());
}

pub async fn two_applies_at_once_add_one_version(pool: &PgPool) {
    apply(&mut pool.acquire().await.unwrap(), &shipped(), Missing::Keep).await.unwrap();
    let file = with_echo_price("0.25");
    let one = async { apply(&mut pool.acquire().await.unwrap(), &file, Missing::Keep).await.unwrap().len() };
    let two = async { apply(&mut pool.acquire().await.unwrap(), &file, Missing::Keep).await.unwrap().len() };
    let (one, two) = tokio::join!(one, two);
    assert_eq!(one + two, 1, "the second sees what the first did");
}

pub async fn a_change_is_told_to_every_process(pool: &PgPool) {
    let mut listener = PgListener::connect_with(pool).await.unwrap();
    listener.listen(CHANGED_CHANNEL).await.unwrap();
    apply(&mut pool.acquire().await.unwrap(), &shipped(), Missing::Keep).await.unwrap();
    let notice = tokio::time::timeout(NOTICE_TIMEOUT, listener.recv()).await.expect("a notice in time").unwrap();
    assert_eq!(notice.channel(), CHANGED_CHANNEL);
}
