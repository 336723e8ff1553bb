//! Whether the configured keys open what the database has sealed.

use super::database::or_none;
use super::{Finding, Patient, store, unasked};
use crate::catalog;
use crate::config::keyring;
use crate::vault;

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "sealed keys";
    let pool = match or_none(patient, CHECK) {
        Ok(pool) => pool,
        Err(findings) => return findings,
    };
    if !patient.has_secret_key {
        return vec![Finding::warning(CHECK, "could not be tried without the secret key", "set FAREBOX_SECRET_KEY")];
    }
    let mut conn = match pool.acquire().await {
        Ok(conn) => conn,
        Err(error) => return vec![unasked(CHECK, &error)],
    };
    let mut findings = Vec::new();
    let ring = keyring(patient.config);
    match vault::check(&mut conn, &ring).await {
        Err(error) => findings.push(unasked("data keys", &error)),
        Ok(versions) if versions.is_empty() => {
            findings.push(Finding::ok("data keys", format!("none yet; key {} will seal them", ring.current())));
        }
        Ok(versions) => {
            for one in versions {
                let current = if one.kek == ring.current() { ", which seals now" } else { "" };
                let check = format!("data keys of key {}", one.kek);
                if one.closed > 0 {
                    let found = format!(
                        "{} of {} cannot be opened: what these organizations stored is lost to them",
                        one.closed,
                        one.opened + one.closed
                    );
                    findings.push(Finding::fault(check, found, "put the key that sealed them back into FAREBOX_ENCRYPTION_KEYS, or the FAREBOX_SECRET_KEY of then"));
                } else {
                    findings.push(Finding::ok(check, format!("{} opened{current}", one.opened)));
                }
            }
        }
    }
    let keys = async {
        let stored = store::provider_keys(&mut conn).await?;
        let opened = catalog::upstream_keys(&mut conn, &patient.sealer).await?.len();
        Ok::<_, sqlx::Error>((stored, opened))
    };
    findings.push(match keys.await {
        Err(error) => unasked("keys of providers", &error),
        Ok((stored, opened)) => {
            let lost = stored - i64::try_from(opened).unwrap_or(i64::MAX);
            if lost > 0 {
                let found = format!("{lost} of {stored} cannot be opened: calls there fail");
                Finding::fault(
                    "keys of providers",
                    found,
                    "restore the FAREBOX_SECRET_KEY of then, or store them again with `farebox providers set-key`",
                )
            } else {
                Finding::ok("keys of providers", format!("{opened} opened"))
            }
        }
    });
    findings
}
