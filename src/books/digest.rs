//! What a close signs.

use chrono::NaiveDate;
use sha2::{Digest as _, Sha256};

use super::checks::{Check, UsageDay};
use super::store::ClosedOrg;
use super::trial::Balance;
use crate::ledger::Movement;

/// Everything that a close says, but for its signature.
pub struct Sealed<'a> {
    pub previous: &'a [u8],
    pub number: i64,
    pub day: NaiveDate,
    pub transfers: i64,
    pub report: &'a str,
    /// In the order of their names.
    pub totals: &'a [(String, Balance)],
    /// In the order of code, debit, credit.
    pub movements: &'a [Movement],
    /// In the order of their ids.
    pub orgs: &'a [ClosedOrg],
    /// In their order. Closes of earlier versions have none of these two, and are the same bytes as they were.
    pub checks: &'a [Check],
    pub usage: Option<&'a UsageDay>,
}

impl Sealed<'_> {
    /// Every part is preceded by its length, so that no two closes are the same bytes. Amounts are in their exact form.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.previous);
        part(&self.number.to_be_bytes());
        part(self.day.to_string().as_bytes());
        part(&self.transfers.to_be_bytes());
        part(self.report.as_bytes());
        part(&(self.totals.len() as u64).to_be_bytes());
        for (name, balance) in self.totals {
            part(name.as_bytes());
            part(balance.debits.exact().as_bytes());
            part(balance.credits.exact().as_bytes());
        }
        part(&(self.movements.len() as u64).to_be_bytes());
        for movement in self.movements {
            for text in [&movement.code, &movement.debit, &movement.credit, &movement.amount.exact()] {
                part(text.as_bytes());
            }
            part(&movement.transfers.to_be_bytes());
        }
        part(&(self.orgs.len() as u64).to_be_bytes());
        for org in self.orgs {
            part(org.org.0.as_bytes());
            part(org.posted.exact().as_bytes());
        }
        if !self.checks.is_empty() {
            part(b"checks");
            part(&(self.checks.len() as u64).to_be_bytes());
        }
        for check in self.checks {
            part(check.rule.as_bytes());
            part(&check.compared.to_be_bytes());
            part(check.amount.exact().as_bytes());
            part(&check.findings.to_be_bytes());
        }
        if let Some(usage) = self.usage {
            part(b"usage");
            for count in [usage.calls, usage.hours_calls, usage.gone_calls, usage.transfers, usage.paid_calls] {
                part(&count.to_be_bytes());
            }
            let amounts =
                [usage.calls_cost, usage.hours_cost, usage.gone_cost, usage.booked, usage.paid_cost, usage.same_day];
            for amount in amounts {
                part(amount.exact().as_bytes());
            }
        }
        hash.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Usd;

    #[test]
    fn whatever_is_changed_changes_the_digest() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 25).unwrap_or_default();
        let totals = vec![("credits".to_owned(), Balance { debits: Usd::ZERO, credits: Usd::from_whole(5) })];
        let other = vec![("credits".to_owned(), Balance { debits: Usd::ZERO, credits: Usd::from_whole(6) })];
        let sealed = |previous, number, report, totals| {
            let (movements, orgs) = (&[][..], &[][..]);
            Sealed { previous, number, day, transfers: 1, report, totals, movements, orgs, checks: &[], usage: None }
                .digest()
        };
        let whole = sealed(&[][..], 1, "", &totals);
        assert_eq!(whole, sealed(&[][..], 1, "", &totals));
        for changed in [
            sealed(&[1][..], 1, "", &totals),
            sealed(&[][..], 2, "", &totals),
            sealed(&[][..], 1, "drift", &totals),
            sealed(&[][..], 1, "", &other),
        ] {
            assert_ne!(whole, changed);
        }
        // What was checked is sealed too, each figure of it.
        let check = |findings| vec![Check::of("debits = credits", (7, Usd::from_whole(5)), findings)];
        let of = |checks: &[Check]| {
            let (previous, totals, report) = (&[][..], &totals[..], "");
            let (movements, orgs) = (&[][..], &[][..]);
            Sealed { previous, number: 1, day, transfers: 1, report, totals, movements, orgs, checks, usage: None }
                .digest()
        };
        assert_eq!(whole, of(&[]), "a close of before is what it was");
        assert_ne!(whole, of(&check(0)));
        assert_ne!(of(&check(0)), of(&check(1)));
    }
}
