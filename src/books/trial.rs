//! The trial balance: both sides of every account at a moment.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

use super::store;
use crate::base::Usd;
use crate::ledger::{self, Movement};

/// What an account got on its two sides since the beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Balance {
    pub debits: Usd,
    pub credits: Usd,
}

impl Balance {
    /// Above zero when the credit side is the larger one.
    #[must_use]
    pub fn net(&self) -> Usd {
        self.credits - self.debits
    }
}

/// Every account of the chart at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// Transfers before this moment are in it.
    pub until: DateTime<Utc>,
    pub accounts: BTreeMap<String, Balance>,
}

impl Trial {
    /// The sums of what stands on the debit side and of what stands on the credit side; equal in sound books.
    #[must_use]
    pub fn sides(&self) -> (Usd, Usd) {
        let mut sides = (Usd::ZERO, Usd::ZERO);
        for balance in self.accounts.values() {
            let net = balance.net();
            if net.is_negative() { sides.0 += -net } else { sides.1 += net }
        }
        sides
    }

    #[must_use]
    pub fn is_balanced(&self) -> bool {
        let (debit, credit) = self.sides();
        debit == credit
    }
}

/// Adds movements to balances.
pub fn add(accounts: &mut BTreeMap<String, Balance>, movements: &[Movement]) {
    for movement in movements {
        accounts.entry(movement.debit.clone()).or_default().debits += movement.amount;
        accounts.entry(movement.credit.clone()).or_default().credits += movement.amount;
    }
}

/// The trial balance before a moment: the last close that had ended by then, and what moved since. Run it in one
/// repeatable-read transaction where it is shown beside other figures.
///
/// # Errors
/// Database errors only.
pub async fn trial(conn: &mut PgConnection, until: DateTime<Utc>) -> Result<Trial, sqlx::Error> {
    let mut accounts: BTreeMap<String, Balance> = BTreeMap::new();
    for (_, _, name) in ledger::house_accounts(conn).await? {
        accounts.insert(name, Balance::default());
    }
    accounts.entry(super::CREDITS.to_owned()).or_default();
    let closed = store::close_ended_by(conn, until).await?;
    let since = match closed {
        Some(day) => {
            accounts.extend(store::closed_totals(conn, day).await?);
            Some(super::close::end_of(day))
        }
        None => None,
    };
    add(&mut accounts, &ledger::movements(conn, since, until).await?);
    Ok(Trial { until, accounts })
}

/// What moved from the beginning of a day of UTC to before a moment: closed days as they were closed, the rest summed up.
///
/// # Errors
/// Database errors only.
pub async fn moved_since(
    conn: &mut PgConnection,
    from: NaiveDate,
    until: DateTime<Utc>,
) -> Result<Vec<Movement>, sqlx::Error> {
    let mut sums: BTreeMap<(String, String, String), (Usd, i64)> = BTreeMap::new();
    let mut put = |one: Movement| {
        let sum = sums.entry((one.code, one.debit, one.credit)).or_default();
        sum.0 += one.amount;
        sum.1 += one.transfers;
    };
    let start = super::close::start_of(from);
    let closed = store::close_ended_by(conn, until).await?.filter(|day| *day >= from);
    let open = match closed {
        Some(day) => {
            store::lines_between(conn, from, day).await?.into_iter().for_each(|line| put(line.movement));
            super::close::end_of(day)
        }
        None => start,
    };
    if open < until {
        ledger::movements(conn, Some(open), until).await?.into_iter().for_each(put);
    }
    let movement = |((code, debit, credit), (amount, transfers))| Movement { code, debit, credit, amount, transfers };
    Ok(sums.into_iter().map(movement).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_moves_both_sides_stay_equal() {
        let movement = |debit: &str, credit: &str, amount: &str| Movement {
            code: "grant".into(),
            debit: debit.into(),
            credit: credit.into(),
            amount: Usd::parse(amount).unwrap_or_default(),
            transfers: 1,
        };
        let mut accounts = BTreeMap::new();
        add(
            &mut accounts,
            &[
                movement("processor:stripe", "credits", "20"),
                movement("processor:stripe", "fee_revenue", "1.10"),
                movement("credits", "usage_revenue", "0.000000000001"),
                movement("credits", "credits", "5"),
            ],
        );
        let trial = Trial { until: DateTime::default(), accounts };
        assert!(trial.is_balanced());
        assert_eq!(trial.sides().0.exact(), "21.1");
        let credits = trial.accounts["credits"];
        assert_eq!(
            (credits.net().exact(), credits.debits.exact()),
            ("19.999999999999".into(), "5.000000000001".into())
        );
    }
}
