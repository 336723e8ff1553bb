//! The audit log: what is done is written down, and what is written down stays.

use crate::support::Farebox;
use crate::support::visitor::Visitor;

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
