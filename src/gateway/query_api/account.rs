//! What a key and its organization may spend and have spent.

use chrono::{DateTime, NaiveTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::activity;
use crate::base::Usd;
use crate::base::ids::MeterId;
use crate::keys::management::activity::workspace_of;
use crate::keys::shown::next_start;
use crate::keys::{Caller, Whose};
use crate::ledger::{self, Limits, MeterState, Window};
use crate::privacy;
use crate::web::api::Number;

/// The answer of `GET /key`.
#[derive(Serialize, ToSchema)]
pub struct KeyBody {
    pub data: KeyInfo,
}

/// A key as its holder may see it. Amounts are US dollars; windows are those of the UTC calendar.
#[derive(Serialize, ToSchema)]
pub struct KeyInfo {
    /// The key with its middle left out.
    pub label: String,
    pub name: String,
    /// The tightest of its limits, or `null` without any.
    #[schema(value_type = Option<f64>)]
    pub limit: Option<Number>,
    #[schema(value_type = Option<f64>)]
    pub limit_remaining: Option<Number>,
    /// `daily`, `weekly` or `monthly`; `null` for a limit that never starts again.
    pub limit_reset: Option<&'static str>,
    pub include_byok_in_limit: bool,
    #[schema(value_type = f64)]
    pub usage: Number,
    #[schema(value_type = f64)]
    pub usage_daily: Number,
    #[schema(value_type = f64)]
    pub usage_weekly: Number,
    #[schema(value_type = f64)]
    pub usage_monthly: Number,
    #[schema(value_type = f64)]
    pub byok_usage: Number,
    #[schema(value_type = f64)]
    pub byok_usage_daily: Number,
    #[schema(value_type = f64)]
    pub byok_usage_weekly: Number,
    #[schema(value_type = f64)]
    pub byok_usage_monthly: Number,
    /// Always false: there is no free tier here, only credits.
    pub is_free_tier: bool,
    pub is_management_key: bool,
    pub is_provisioning_key: bool,
    pub organization_id: String,
    /// The organization's one workspace.
    pub workspace_id: String,
    /// Where providers may be: everywhere, unless a call asks otherwise.
    pub allowed_data_regions: [&'static str; 1],
    pub free_model_daily_requests: FreeRequests,
    /// The limits of the key itself, each in its window, and those of the member whose key it is. A key that was handed on hears
    /// of its own alone, and a budget above it may stop it before.
    pub budgets: Vec<Budget>,
    /// The one of these that stops the key first.
    pub effective_budget: Option<Budget>,
    pub creator_user_id: Option<String>,
    pub expires_at: Option<DateTime<Utc>>,
    pub rate_limit: RateLimit,
}

/// Kept for clients that ask for it.
#[derive(Serialize, ToSchema)]
pub struct RateLimit {
    /// How many calls may begin in an interval. Below zero: there is no limit on it.
    pub requests: i32,
    pub interval: &'static str,
    pub note: &'static str,
}

/// Kept for clients that ask for it: calls of free models are not counted here.
#[derive(Serialize, ToSchema)]
pub struct FreeRequests {
    pub used: i32,
    /// Below zero: there is none.
    pub limit: i32,
    pub remaining: i32,
}

/// A limit, and how far it is used up. US dollars.
#[derive(Clone, Serialize, ToSchema)]
pub struct Budget {
    /// `key_limit` or `member_limit`.
    pub scope: &'static str,
    #[schema(value_type = f64)]
    pub limit_usd: Number,
    #[schema(value_type = f64)]
    pub spend_usd: Number,
    #[schema(value_type = f64)]
    pub remaining_usd: Number,
    pub include_byok: bool,
    /// `daily`, `weekly` or `monthly`; `null` for a limit that never starts again.
    pub reset_interval: Option<&'static str>,
    pub resets_at: Option<DateTime<Utc>>,
    /// Always `null`.
    pub guardrail_id: Option<String>,
    /// Always `null`.
    pub budget_id: Option<String>,
}

/// The answer of `GET /credits`.
#[derive(Serialize, ToSchema)]
pub struct CreditsBody {
    pub data: CreditsInfo,
}

/// US dollars. The balance is the difference.
#[derive(Serialize, ToSchema)]
pub struct CreditsInfo {
    /// Everything that came in, less what was paid back.
    #[schema(value_type = f64)]
    pub total_credits: Number,
    /// Everything that calls cost.
    #[schema(value_type = f64)]
    pub total_usage: Number,
}

pub async fn key_info(conn: &mut PgConnection, caller: &Caller) -> Result<KeyInfo, sqlx::Error> {
    let meters = ledger::meter_states(conn, caller.org, &caller.meters).await?;
    let own = own_meter(caller).and_then(|own| meters.iter().find(|meter| meter.id == own));
    let own = own.ok_or(sqlx::Error::RowNotFound)?;
    let budgets = budgets(caller, own, &meters);
    let (spent, byok) = (own.spent_now(), own.byok_now());
    let tightest = own.tightest(Usd::ZERO);
    Ok(KeyInfo {
        label: caller.key_label.clone(),
        name: caller.key_name.clone(),
        limit: tightest.and_then(|(window, _)| limit_of(own, window)).map(Number),
        // A limit that was lowered below what is spent leaves nothing, not less.
        limit_remaining: tightest.map(|(_, left)| Number(left.max(Usd::ZERO))),
        limit_reset: tightest.and_then(|(window, _)| (window != Window::Total).then(|| window.as_str())),
        include_byok_in_limit: own.include_byok,
        usage: Number(spent.total),
        usage_daily: Number(spent.day),
        usage_weekly: Number(spent.week),
        usage_monthly: Number(spent.month),
        byok_usage: Number(byok.total),
        byok_usage_daily: Number(byok.day),
        byok_usage_weekly: Number(byok.week),
        byok_usage_monthly: Number(byok.month),
        is_free_tier: false,
        is_management_key: caller.provisioning,
        is_provisioning_key: caller.provisioning,
        organization_id: caller.org.to_string(),
        workspace_id: workspace_of(caller.org),
        allowed_data_regions: ["global"],
        free_model_daily_requests: FreeRequests { used: 0, limit: -1, remaining: -1 },
        effective_budget: budgets.iter().min_by_key(|budget| budget.remaining_usd.0).cloned(),
        budgets,
        creator_user_id: caller.created_by.map(|person| person.to_string()),
        expires_at: caller.expires_at,
        rate_limit: rate_limit(caller),
    })
}

const WINDOWS: [Window; 4] = [Window::Day, Window::Week, Window::Month, Window::Total];

/// The limits that a key may know of.
fn budgets(caller: &Caller, own: &MeterState, all: &[MeterState]) -> Vec<Budget> {
    let of = |meter: &MeterState, scope| WINDOWS.map(|window| budget(meter, scope, window)).into_iter().flatten();
    let members = all.iter().filter(|meter| !caller.handed_on && caller.whose(meter.id) == Whose::Member);
    of(own, "key_limit").chain(members.flat_map(|meter| of(meter, "member_limit"))).collect()
}

fn budget(meter: &MeterState, scope: &'static str, window: Window) -> Option<Budget> {
    let limit = limit_of(meter, window)?;
    let only = MeterState { limits: Limits::default(), ..meter.clone() };
    let limits = match window {
        Window::Total => Limits { total: Some(limit), ..only.limits },
        Window::Day => Limits { day: Some(limit), ..only.limits },
        Window::Week => Limits { week: Some(limit), ..only.limits },
        Window::Month => Limits { month: Some(limit), ..only.limits },
    };
    let (_, left) = MeterState { limits, ..only }.tightest(Usd::ZERO)?;
    let starts = next_start(window, meter.today).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    Some(Budget {
        scope,
        limit_usd: Number(limit),
        spend_usd: Number(limit - left),
        remaining_usd: Number(left.max(Usd::ZERO)),
        include_byok: meter.include_byok,
        reset_interval: (window != Window::Total).then(|| window.as_str()),
        resets_at: starts,
        guardrail_id: None,
        budget_id: None,
    })
}

fn rate_limit(caller: &Caller) -> RateLimit {
    match caller.rules.per_minute {
        None => {
            RateLimit { requests: -1, interval: "10s", note: "There is no limit on requests; credits are the limit." }
        }
        Some(calls) => RateLimit {
            requests: i32::try_from(calls.get()).unwrap_or(i32::MAX),
            interval: "60s",
            note: "So many calls may begin in each minute of the clock.",
        },
    }
}

/// Whether a key may know what its organization has. Whoever holds one that was handed on was promised, or counts on, no look
/// into the account; programs of one's own often show the balance.
pub async fn sees_balance(conn: &mut PgConnection, caller: &Caller) -> Result<bool, sqlx::Error> {
    if caller.powers.manage {
        return Ok(true);
    }
    Ok(!caller.handed_on && privacy::settings(conn, caller.org).await?.keys_see_balance)
}

/// The caller gives a transaction that sees one moment: else the difference of the two sums would not be the balance.
pub async fn credits_info(conn: &mut PgConnection, caller: &Caller) -> Result<CreditsInfo, sqlx::Error> {
    let usage = activity::lifetime(conn, caller.org).await?;
    let credit = ledger::credit_state(conn, caller.org).await?;
    Ok(CreditsInfo { total_credits: Number(credit.posted + usage), total_usage: Number(usage) })
}

/// A key's own meter has the key's number; else it is the first of the caller's meters.
fn own_meter(caller: &Caller) -> Option<MeterId> {
    let own = MeterId(caller.key.0);
    caller.meters.iter().copied().find(|meter| *meter == own).or_else(|| caller.meters.first().copied())
}

fn limit_of(meter: &MeterState, window: Window) -> Option<Usd> {
    match window {
        Window::Total => meter.limits.total,
        Window::Day => meter.limits.day,
        Window::Week => meter.limits.week,
        Window::Month => meter.limits.month,
    }
}
