//! The books: what can be told at once, or with `--deep` everything that can be checked.

use sqlx::PgPool;

use super::database::or_none;
use super::{Finding, Patient, store, unasked};
use crate::cli::books::NOT_WHOLE;
use crate::{audit, books, boot, gateway, ledger};

/// Findings that are told one by one.
const MAX_TOLD: usize = 20;
const VERIFY: &str = "keep the output of `farebox ledger verify`, stop servers of versions that you do not trust, and see docs/operations.md";

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let pool = match or_none(patient, "books") {
        Ok(pool) => pool,
        Err(findings) => return findings,
    };
    let mut findings = quick(patient, pool).await.unwrap_or_else(|error| vec![unasked("books", &error)]);
    if patient.deep {
        findings.extend(deep(patient, pool).await.unwrap_or_else(|error| vec![unasked("books", &error)]));
    }
    findings
}

async fn quick(patient: &Patient<'_>, pool: &PgPool) -> Result<Vec<Finding>, sqlx::Error> {
    let mut tx = pool.begin_with("begin isolation level repeatable read read only").await?;
    let whole = ledger::is_whole(&mut tx).await?;
    let wrong = store::wrongly_held(&mut tx).await?;
    let (_, expired) = ledger::count_holds(&mut tx).await?;
    let last = books::latest_close(&mut tx).await?;
    tx.rollback().await?;
    let mut findings = vec![if wrong == 0 {
        Finding::ok("held credits", "are the sums of their holds")
    } else {
        Finding::fault("held credits", format!("of {wrong} organizations are not the sums of their holds"), VERIFY)
    }];
    if !whole {
        findings.push(Finding::fault(
            "books",
            NOT_WHOLE,
            "stop the servers, and find out what this database was restored from",
        ));
    }
    findings.push(if expired == 0 {
        Finding::ok("holds", "none is over its time")
    } else {
        let found = format!("{expired} ended more than a minute ago and still take from balances");
        Finding::warning("holds", found, "is a server running? `farebox ledger sweep` releases them at once")
    });
    findings.push(match last {
        None => Finding::ok("daily close", "none yet"),
        Some(close) => {
            let found = format!("{} is closed, with {} findings", close.day, close.findings);
            match (close.findings, books::is_late(close.day, patient.clock.now())) {
                (0, false) => Finding::ok("daily close", found),
                (0, true) => Finding::warning(
                    "daily close",
                    format!("{found}; later days are not"),
                    "is a server running? `farebox ledger close` does it at once",
                ),
                _ => Finding::fault("daily close", found, VERIFY),
            }
        }
    });
    Ok(findings)
}

async fn deep(patient: &Patient<'_>, pool: &PgPool) -> Result<Vec<Finding>, sqlx::Error> {
    let mut tx = pool.begin_with("begin isolation level repeatable read read only").await?;
    let report = gateway::reconcile::verify(&mut tx).await?;
    let mut findings = vec![if report.is_clean() {
        Finding::ok(
            "verification",
            format!("{} accounts and {} transfers are clean", report.accounts, report.transfers),
        )
    } else {
        Finding::fault("verification", format!("{} sums are not what they should be", report.drifts.len()), VERIFY)
    }];
    for drift in report.drifts.iter().take(MAX_TOLD) {
        let found = format!("{} should be {} and is {}", drift.subject, drift.expected, drift.found);
        findings.push(Finding::fault(drift.rule, found, VERIFY));
    }
    if !patient.has_secret_key {
        let found = "could not be tried without the secret key";
        findings.push(Finding::warning("closes and audit log", found, "set FAREBOX_SECRET_KEY"));
        return Ok(findings);
    }
    let closes = books::verify_closes(&mut tx, &boot::close_key(patient.config)).await?;
    findings.push(match closes.faults.first() {
        None => Finding::ok("closes", format!("{} are as they were written", closes.closes)),
        Some((day, why)) => Finding::fault(
            "closes",
            format!("{} are not as they were written, first {day}: {why}", closes.faults.len()),
            "farebox ledger closes",
        ),
    });
    let log = audit::verify(&mut tx).await?;
    let anchors = audit::verify_anchors(&mut tx, &boot::anchoring(patient.config).key, &[]).await?;
    findings.push(if log.is_clean() && anchors.is_clean() {
        Finding::ok("audit log", format!("{} chains and {} anchors are whole", log.chains, anchors.anchors))
    } else {
        Finding::fault(
            "audit log",
            format!("{} entries and {} anchors are not as they were written", log.broken.len(), anchors.faults.len()),
            "farebox audit verify",
        )
    });
    tx.rollback().await?;
    Ok(findings)
}
