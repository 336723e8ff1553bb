//! The English that somebody reads.

use crate::support::Farebox;
use crate::support::visitor::Visitor;

const PROFILE: &str = "/settings/profile";

async fn choose(visitor: &mut Visitor<'_>, locale: &str) -> u16 {
    let fields = [("name", "Ada"), ("theme", "system"), ("time_zone", "Europe/Berlin"), ("locale", locale)];
    visitor.submit(PROFILE, PROFILE, &fields).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_and_times_are_written_as_their_reader_chose() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", "correct horse battery").await;
    ada.get("/").await;
    farebox.key("ada@example.com", "5", &["--limit-weekly", "3", "--expires", "2031-06-01T12:05:00Z"]).await;
    let page = ada.get("/keys").await.body;
    assert!(page.contains("<html lang=\"en-GB\"") && page.contains("1 Jun 2031"), "{page}");

    assert_eq!(choose(&mut ada, "en-US").await, 303);
    let page = ada.get("/keys").await.body;
    for part in ["<html lang=\"en-US\"", "Jun 1, 2031", "2:05 PM CEST", "12:00 AM UTC"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("14:05") && !page.contains("1 Jun 2031"), "{page}");
    assert!(ada.get(PROFILE).await.body.contains("value=\"en-US\" selected"));

    assert_eq!(choose(&mut ada, "en-GB").await, 303);
    let page = ada.get("/keys").await.body;
    for part in ["<html lang=\"en-GB\"", "1 Jun 2031", "14:05 CEST", "00:00 UTC"] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(choose(&mut ada, "tlh").await, 422, "what is not offered is not stored");
    assert_eq!(farebox.text("select locale from person").await, "en-GB");
}
