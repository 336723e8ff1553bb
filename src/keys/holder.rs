//! Whoever holds a key, without an account: what they may see of it.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::caller::{Caller, Whose};
use super::key::{Key, KeyState};
use super::shown::Tightest;
use super::store::Found;
use crate::activity::{self, LogFilter, LogPage};
use crate::base::ids::CallId;
use crate::ledger::{self, MeterState};

/// A key, what is left of it, and a page of its calls.
pub struct Held {
    pub meter: Option<MeterState>,
    pub above: Above,
    pub calls: LogPage,
    /// At most one more than [`activity::MAX_COUNTED`].
    pub count: i64,
}

/// What stops a key beside its own limits. Its holder hears that it is used up, never how much there is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Above {
    #[default]
    Open,
    /// A budget that it shares with others: of the key that issued it, or of a member.
    BudgetUsedUp,
    NoCredits,
}

/// What its holder sees of a key. Every question names the key, and `conn` sees nothing of other organizations.
///
/// # Errors
/// Database errors only.
pub async fn look(
    conn: &mut PgConnection,
    caller: &Caller,
    before: Option<CallId>,
    limit: u16,
) -> Result<Held, sqlx::Error> {
    let own = LogFilter { key: Some(caller.key), before, ..LogFilter::default() };
    let meters = ledger::meter_states(conn, caller.org, &caller.meters).await?;
    let credit = ledger::credit_state(conn, caller.org).await?;
    let calls = activity::log(conn, caller.org, &own, limit).await?;
    let count = activity::count_of_key(conn, caller.org, caller.key).await?;
    let is_used_up = |meter: &MeterState| Tightest::of(meter).is_some_and(|tightest| tightest.is_reached());
    let (own, shared): (Vec<_>, Vec<_>) = meters.into_iter().partition(|meter| caller.whose(meter.id) == Whose::Key);
    let above = match () {
        () if shared.iter().any(is_used_up) => Above::BudgetUsedUp,
        () if !credit.available().is_positive() => Above::NoCredits,
        () => Above::Open,
    };
    Ok(Held { meter: own.into_iter().next(), above, calls, count })
}

/// Why calls with a key are refused at the moment; empty while they are not.
#[must_use]
pub fn refused(key: &Key, found: &Found, above: Above, now: DateTime<Utc>) -> &'static str {
    match key.state(now) {
        KeyState::Disabled => "This key is disabled. Calls with it are refused.",
        KeyState::Expired => "This key has expired. Calls with it are refused.",
        KeyState::Unclaimed => "This key has no secret yet.",
        KeyState::Active if found.disabled => "The key that issued this one is disabled. Calls are refused.",
        KeyState::Active if found.closing => "The organization is being deleted. Calls are refused.",
        KeyState::Active if found.frozen => "The organization is frozen. Calls are refused.",
        KeyState::Active if found.maker_frozen => "The account that made this key is frozen. Calls are refused.",
        KeyState::Active if found.stopped => {
            "All keys of the organization are stopped at the moment. Calls are refused."
        }
        KeyState::Active => match above {
            Above::BudgetUsedUp => "A budget that this key shares with others is used up. Calls are refused.",
            Above::NoCredits => "The organization has no credits left. Calls that are paid with credits are refused.",
            Above::Open => "",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::rules::Rules;
    use super::*;

    fn found(key: &Key) -> Found {
        let caller = Caller {
            org: key.org,
            key: key.id,
            key_name: String::new(),
            key_label: String::new(),
            created_by: None,
            meters: Vec::new(),
            hash: String::new(),
            provisioning: false,
            issued_by: None,
            issuers_member: None,
            handed_on: true,
            powers: key.powers,
            expires_at: None,
            rules: Rules::default(),
        };
        Found { caller, disabled: false, frozen: false, maker_frozen: false, closing: false, stopped: false }
    }

    #[test]
    fn whatever_refuses_a_call_is_told() {
        let (key, now) = (Key::sample(), DateTime::UNIX_EPOCH);
        assert_eq!(refused(&key, &found(&key), Above::Open, now), "");
        let told = [
            refused(&Key { disabled_at: Some(now), ..key.clone() }, &found(&key), Above::Open, now),
            refused(&Key { expires_at: Some(now), ..key.clone() }, &found(&key), Above::Open, now),
            refused(&key, &Found { disabled: true, ..found(&key) }, Above::Open, now),
            refused(&key, &Found { frozen: true, ..found(&key) }, Above::Open, now),
            refused(&key, &Found { maker_frozen: true, ..found(&key) }, Above::Open, now),
            refused(&key, &Found { closing: true, ..found(&key) }, Above::Open, now),
            refused(&key, &Found { stopped: true, ..found(&key) }, Above::Open, now),
            refused(&key, &found(&key), Above::BudgetUsedUp, now),
            refused(&key, &found(&key), Above::NoCredits, now),
        ];
        let different: std::collections::BTreeSet<_> = told.into_iter().filter(|text| !text.is_empty()).collect();
        assert_eq!(different.len(), told.len(), "{told:?}");
    }
}
