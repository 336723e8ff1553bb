//! The audit log: what is done is written down, and what is written down stays.

use crate::support::visitor::Visitor;
use crate::support::{Farebox, Options};

const PASSWORD: &str = "correct horse battery";

async fn verify(farebox: &Farebox) -> (bool, String) {
    let done = farebox.cli(&["audit", "verify"]).await;
    (done.status.success(), String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Somebody who may do anything with the database, triggers or not.
async fn forge(farebox: &Farebox, statement: &'static str) {
    let mut tx = farebox.pool.begin().await.expect("a transaction");
    sqlx::query("set local session_replication_role = replica").execute(&mut *tx).await.expect("a superuser");
    assert!(sqlx::query(statement).execute(&mut *tx).await.expect("the statement").rows_affected() > 0, "{statement}");
    tx.commit().await.expect("commit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_touched_is_noticed() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    for _ in 0..3 {
        let stepped = ada.submit("/step-up?next=/keys", "/step-up", &[("password", PASSWORD), ("next", "/keys")]).await;
        assert_eq!((stepped.status, stepped.location.as_str()), (303, "/keys"));
    }
    assert_eq!(farebox.text("select count(*)::text from audit_entry where action = 'account.stepped_up'").await, "3");
    assert!(verify(&farebox).await.0);

    for refused in [
        "update audit_entry set action = 'key.deleted'",
        "update audit_entry set personal = '{}'",
        "delete from audit_entry",
        "truncate audit_entry",
    ] {
        assert!(sqlx::query(refused).execute(&farebox.pool).await.is_err(), "{refused} was done");
    }
    // Personal data may be erased, and the chain stays whole.
    sqlx::query("update audit_entry set personal = null where seq = 1").execute(&farebox.pool).await.expect("erased");
    let (clean, told) = verify(&farebox).await;
    assert!(clean && told.contains("every chain is whole"), "{told}");

    for (forged, mended, why) in [
        (
            "update audit_entry set occurred_at = occurred_at + interval '1 day' where seq = 2",
            "update audit_entry set occurred_at = occurred_at - interval '1 day' where seq = 2",
            "was changed",
        ),
        (
            "update audit_entry set personal = replace(personal, '\"ip\"', '\"xx\"') where seq = 3",
            "update audit_entry set personal = replace(personal, '\"xx\"', '\"ip\"') where seq = 3",
            "names or addresses",
        ),
        ("update audit_chain set seq = seq + 1", "update audit_chain set seq = seq - 1", "missing at its end"),
        ("delete from audit_entry where seq = 2", "", "is missing"),
    ] {
        forge(&farebox, forged).await;
        let (clean, told) = verify(&farebox).await;
        assert!(!clean && told.contains("BROKEN") && told.contains(why), "{forged}: {told}");
        if !mended.is_empty() {
            forge(&farebox, mended).await;
            assert!(verify(&farebox).await.0, "{mended}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_up_needs_the_password_and_changes_the_session() {
    let farebox = Farebox::start().await;
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    let before = ada.cookies().to_vec();
    let wrong = ada.submit("/step-up", "/step-up", &[("password", "not this one")]).await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.body.contains("This is not your password"));
    let away = ada.submit("/step-up", "/step-up", &[("password", PASSWORD), ("next", "//evil.example")]).await;
    assert_eq!((away.status, away.location.as_str()), (303, "/"), "nobody is sent to another site");
    let mut stolen = Visitor::with_cookies(&farebox, &before);
    assert_eq!(stolen.get("/").await.status, 303, "the secret from before is worth nothing");
    assert_eq!(ada.get("/").await.status, 200);
}

async fn count(farebox: &Farebox, query: &'static str) -> u32 {
    farebox.text(query).await.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_was_written_anew_or_cut_off_is_noticed_by_its_anchors() {
    const ANCHORS: &str = "select count(*)::text from audit_anchor";
    let env = vec![("FAREBOX_AUDIT_ANCHOR_MAIL", "keeper@example.com".to_owned())];
    let farebox = Farebox::with(Options { env: env.clone(), ..Options::default() }).await;
    // The first is taken as the server starts; another only a day later.
    for _ in 0..100 {
        if count(&farebox, ANCHORS).await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let mut ada = Visitor::member(&farebox, "ada@example.com", PASSWORD).await;
    ada.submit("/step-up?next=/keys", "/step-up", &[("password", PASSWORD), ("next", "/keys")]).await;
    let data_dir = Some(farebox.data_dir());
    let database_url = Some(farebox.database_url.clone());
    let second = Farebox::with(Options { database_url, data_dir, env, ..Options::default() }).await;
    assert_eq!(count(&farebox, ANCHORS).await, 1, "a second process takes none on the same day");
    drop(second);

    let taken = farebox.cli(&["audit", "anchor"]).await;
    let line = String::from_utf8_lossy(&taken.stdout).trim().to_owned();
    assert!(line.starts_with("farebox-audit-anchor 2 "), "{line}");
    let (clean, told) = verify(&farebox).await;
    assert!(clean && told.contains("2 anchors"), "{told}");
    // Its copies are where the database does not reach.
    let file = std::fs::read_to_string(farebox.data_dir().join("audit-anchors.log")).expect("a file");
    assert!(file.lines().any(|kept| kept == line) && file.lines().count() == 2, "{file}");
    assert!(farebox.log().contains("farebox-audit-anchor 1 "), "{}", farebox.log());
    let mailed = farebox.text("select text_body from mail where kind = 'audit_anchor' order by id desc limit 1").await;
    assert!(mailed.contains(&line), "{mailed}");
    let printed = farebox.cli(&["audit", "anchors"]).await;
    assert_eq!(String::from_utf8_lossy(&printed.stdout).lines().last(), Some(line.as_str()));
    let copies = farebox.data_dir().join("copies.txt");
    std::fs::write(&copies, format!("> kept\n> {line}\n")).expect("kept");
    let with_copies = ["audit", "verify", "--copies", copies.to_str().expect("a path")];
    assert!(farebox.cli(&with_copies).await.status.success());
    for refused in
        ["update audit_anchor set digest = ''", "delete from audit_anchor_head", "truncate audit_anchor_head"]
    {
        assert!(sqlx::query(refused).execute(&farebox.pool).await.is_err(), "{refused} was done");
    }

    // The last entry is taken away, and the chain is made to end before it: in itself it is whole.
    forge(
        &farebox,
        "delete from audit_entry e using audit_chain c
         where c.kind = 'person' and e.chain_id = c.chain_id and e.seq = c.seq",
    )
    .await;
    forge(
        &farebox,
        "update audit_chain c set seq = e.seq, digest = e.digest from audit_entry e
         where c.kind = 'person' and e.chain_id = c.chain_id and e.seq = c.seq - 1",
    )
    .await;
    let (clean, told) = verify(&farebox).await;
    assert!(!clean && told.contains("BROKEN anchor 2: entry ") && told.contains("is gone"), "{told}");

    // Who takes away what the anchor names as well has to sign another, which they cannot.
    forge(&farebox, "delete from audit_anchor_head where anchor = 2").await;
    let (clean, told) = verify(&farebox).await;
    assert!(!clean && told.contains("anchor 2: this anchor, or one before it, was changed"), "{told}");
    forge(&farebox, "update audit_anchor set signature = decode(repeat('00', 32), 'hex') where number = 1").await;
    let (clean, told) = verify(&farebox).await;
    assert!(!clean && told.contains("anchor 1: it is not signed with the key"), "{told}");
    forge(&farebox, "delete from audit_anchor where number = 1").await;
    let (clean, told) = verify(&farebox).await;
    assert!(!clean && told.contains("an anchor before this one is missing"), "{told}");

    // Who takes away all of it is found by the copy that was kept outside.
    forge(&farebox, "delete from audit_anchor").await;
    assert!(verify(&farebox).await.0, "in itself it is whole again");
    let found = farebox.cli(&with_copies).await;
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(!found.status.success() && told.contains("BROKEN anchor 2: there is a copy"), "{told}");
    // And with another one in its place.
    farebox.cli(&["audit", "anchor"]).await;
    farebox.cli(&["audit", "anchor"]).await;
    let found = farebox.cli(&with_copies).await;
    let told = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(!found.status.success() && told.contains("the copy that was kept outside is another one"), "{told}");
    let nothing = farebox.cli(&["audit", "verify", "--copies", "/nowhere"]).await;
    assert!(!nothing.status.success() && String::from_utf8_lossy(&nothing.stderr).contains("cannot read /nowhere"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_day_has_its_anchor_by_whichever_process_comes_first() {
    let farebox = Farebox::start().await;
    for _ in 0..100 {
        if count(&farebox, "select count(*)::text from audit_anchor").await == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    forge(&farebox, "update audit_anchor set taken_at = taken_at - interval '25 hours'").await;
    let url = || Some(farebox.database_url.clone());
    // Both look as they start.
    let (_one, _two) = tokio::join!(
        Farebox::with(Options { database_url: url(), ..Options::default() }),
        Farebox::with(Options { database_url: url(), ..Options::default() }),
    );
    for _ in 0..100 {
        if count(&farebox, "select count(*)::text from audit_anchor").await == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    assert_eq!(count(&farebox, "select count(*)::text from audit_anchor").await, 2);
}
