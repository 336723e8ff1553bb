//! Keys as programs read and write them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::activity::workspace_of;
use crate::base::Usd;
use crate::keys::key::Key;
use crate::keys::rules::PerMinute;
use crate::ledger::{Limits, MeterState, Window};
use crate::web::api::{Amount, Number, given, present};

/// When a limit starts again: at 00:00 UTC, on Mondays, or on the 1st.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LimitReset {
    Daily,
    Weekly,
    Monthly,
}

impl LimitReset {
    #[must_use]
    pub fn of(window: Window) -> Option<LimitReset> {
        match window {
            Window::Total => None,
            Window::Day => Some(LimitReset::Daily),
            Window::Week => Some(LimitReset::Weekly),
            Window::Month => Some(LimitReset::Monthly),
        }
    }
}

/// One limit, in its window. Without an amount there is none, whatever the window.
#[must_use]
pub fn limits_of(limit: Option<Amount>, reset: Option<LimitReset>) -> Limits {
    let (limit, none) = (limit.map(|amount| amount.0), Limits::default());
    match reset {
        None => Limits { total: limit, ..none },
        Some(LimitReset::Daily) => Limits { day: limit, ..none },
        Some(LimitReset::Weekly) => Limits { week: limit, ..none },
        Some(LimitReset::Monthly) => Limits { month: limit, ..none },
    }
}

/// The limits that stand, with their windows.
#[must_use]
pub fn standing(limits: &Limits) -> Vec<(Option<LimitReset>, Usd)> {
    let all = [
        (None, limits.total),
        (Some(LimitReset::Daily), limits.day),
        (Some(LimitReset::Weekly), limits.week),
        (Some(LimitReset::Monthly), limits.month),
    ];
    all.into_iter().filter_map(|(reset, limit)| limit.map(|limit| (reset, limit))).collect()
}

/// Limits of several windows, all of which hold. US dollars.
#[derive(Clone, Copy, Default, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WindowLimits {
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000)]
    total: Option<Amount>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000)]
    daily: Option<Amount>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000)]
    weekly: Option<Amount>,
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000)]
    monthly: Option<Amount>,
}

impl WindowLimits {
    /// These, and one more. Where both are of one window, the smaller holds.
    #[must_use]
    pub fn and(self, one: Limits) -> Limits {
        let least = |own: Option<Amount>, other: Option<Usd>| [own.map(|own| own.0), other].into_iter().flatten().min();
        Limits {
            total: least(self.total, one.total),
            day: least(self.daily, one.day),
            week: least(self.weekly, one.week),
            month: least(self.monthly, one.month),
        }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Something that is not only space, without control characters.
    #[schema(
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: String,
    /// Where it stops, in US dollars; `null` for nowhere. Digits beyond the twelfth after the point are cut off.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000)]
    pub limit: Option<Amount>,
    /// When the limit starts again; `null` for never.
    pub limit_reset: Option<LimitReset>,
    /// Further limits, so that several windows hold at once.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub limits: Option<WindowLimits>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub include_byok_in_limit: Option<bool>,
    /// When it ends. Without it, with the provisioning key; never later than that.
    pub expires_at: Option<DateTime<Utc>>,
    /// The member whose key it is. Without it, whoever made the provisioning key.
    #[schema(min_length = 1)]
    pub creator_user_id: Option<String>,
    /// The workspace, which is the organization's own.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub workspace_id: Option<String>,
    /// The only models that it may call; `null` for those of the provisioning key.
    #[schema(value_type = Option<Vec<ModelId>>, min_items = 1, max_items = 100)]
    pub allowed_models: Option<Vec<String>>,
    /// Calls that it may begin in one minute; `null` for as many as the provisioning key.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    pub requests_per_minute: Option<Whole>,
}

/// A whole number, however it is written: to JSON Schema `300.0` is an integer as `300` is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Whole(pub u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Whole, D::Error> {
        let number = f64::deserialize(deserializer)?;
        if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
            return Ok(Whole(number as u32));
        }
        Err(serde::de::Error::custom(format!("{number} is no whole number of calls")))
    }
}

/// The id of a model.
#[derive(ToSchema)]
#[schema(value_type = String, pattern = r"^[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?/[a-z0-9][a-z0-9._-]{0,80}$")]
pub struct ModelId(#[expect(dead_code, reason = "a shape for the document only")] String);

/// What becomes other of a key. What is not there stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateKey {
    #[serde(default, deserialize_with = "present")]
    #[schema(
        nullable = false,
        min_length = 1,
        max_length = 100,
        pattern = r"^[^\x00-\x1f\x7f-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$"
    )]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub disabled: Option<bool>,
    /// Where it stops, in US dollars; `null` for nowhere. What was spent stays spent.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1_000_000_000)]
    pub limit: Option<Option<Amount>>,
    /// When the limit starts again; `null` for never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<LimitReset>)]
    pub limit_reset: Option<Option<LimitReset>>,
    /// All limits anew, so that several windows hold at once.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub limits: Option<WindowLimits>,
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub include_byok_in_limit: Option<bool>,
    /// The workspace, which is the organization's own.
    #[serde(default, deserialize_with = "present")]
    #[schema(nullable = false)]
    pub workspace_id: Option<String>,
    /// The only models that it may call; `null` for those of the provisioning key.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<ModelId>>, min_items = 1, max_items = 100)]
    pub allowed_models: Option<Option<Vec<String>>>,
    /// Calls that it may begin in one minute; `null` for as many as the provisioning key.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 100_000)]
    pub requests_per_minute: Option<Option<Whole>>,
}

impl UpdateKey {
    /// The limits afterwards, `None` where they stay.
    ///
    /// # Errors
    /// When the key has limits of several windows and it is not said which of them is meant.
    pub fn limits(&self, now: &Limits) -> Result<Option<Limits>, SeveralLimits> {
        let one = |limit: Option<Amount>, reset: Option<LimitReset>| limits_of(limit, reset);
        if let Some(windows) = self.limits {
            return Ok(Some(windows.and(one(self.limit.flatten(), self.limit_reset.flatten()))));
        }
        if self.limit.is_none() && self.limit_reset.is_none() {
            return Ok(None);
        }
        let standing = standing(now);
        let first = match standing.as_slice() {
            [] => None,
            [first] => Some(*first),
            _ => return Err(SeveralLimits),
        };
        let limit = self.limit.unwrap_or(first.map(|(_, limit)| Amount(limit)));
        let reset = self.limit_reset.unwrap_or(first.and_then(|(reset, _)| reset));
        Ok(Some(one(limit, reset)))
    }
}

/// Several limits stand on a key, and `limit` could mean each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeveralLimits;

/// A key. Amounts are US dollars; windows are those of the UTC calendar.
#[derive(Serialize, ToSchema)]
pub struct KeyData {
    /// The SHA-256 of the key: how it is named in addresses.
    pub hash: String,
    pub name: String,
    /// The key with its middle left out.
    pub label: String,
    pub disabled: bool,
    /// The tightest of its limits, or `null` without any.
    #[schema(value_type = Option<f64>)]
    pub limit: Option<Number>,
    #[schema(value_type = Option<f64>)]
    pub limit_remaining: Option<Number>,
    /// When that limit starts again; `null` for never.
    pub limit_reset: Option<LimitReset>,
    /// Every limit that stands.
    pub limits: LimitsData,
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
    pub created_at: DateTime<Utc>,
    /// `null` until something is changed.
    pub updated_at: Option<DateTime<Utc>>,
    pub expires_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub creator_user_id: Option<String>,
    pub workspace_id: String,
    /// Always `null`: there are no users of users here.
    pub external_user: Option<String>,
    /// The only models that it may call; `null` for any.
    pub allowed_models: Option<Vec<String>>,
    pub requests_per_minute: Option<u32>,
}

/// The limits of a key by window, in US dollars.
#[derive(Serialize, ToSchema)]
pub struct LimitsData {
    #[schema(value_type = Option<f64>)]
    pub total: Option<Number>,
    #[schema(value_type = Option<f64>)]
    pub daily: Option<Number>,
    #[schema(value_type = Option<f64>)]
    pub weekly: Option<Number>,
    #[schema(value_type = Option<f64>)]
    pub monthly: Option<Number>,
}

impl KeyData {
    #[must_use]
    pub fn of(key: &Key, meter: &MeterState) -> KeyData {
        let (spent, byok, limits) = (meter.spent_now(), meter.byok_now(), &meter.limits);
        let tightest = meter.tightest(Usd::ZERO);
        let of = |window| match window {
            Window::Total => limits.total,
            Window::Day => limits.day,
            Window::Week => limits.week,
            Window::Month => limits.month,
        };
        KeyData {
            hash: key.hash(),
            name: key.name.clone(),
            label: key.label.clone(),
            disabled: key.disabled_at.is_some(),
            limit: tightest.and_then(|(window, _)| of(window)).map(Number),
            // A limit that was lowered below what is spent leaves nothing, not less.
            limit_remaining: tightest.map(|(_, left)| Number(left.max(Usd::ZERO))),
            limit_reset: tightest.and_then(|(window, _)| LimitReset::of(window)),
            limits: LimitsData {
                total: limits.total.map(Number),
                daily: limits.day.map(Number),
                weekly: limits.week.map(Number),
                monthly: limits.month.map(Number),
            },
            include_byok_in_limit: meter.include_byok,
            usage: Number(spent.total),
            usage_daily: Number(spent.day),
            usage_weekly: Number(spent.week),
            usage_monthly: Number(spent.month),
            byok_usage: Number(byok.total),
            byok_usage_daily: Number(byok.day),
            byok_usage_weekly: Number(byok.week),
            byok_usage_monthly: Number(byok.month),
            created_at: key.created_at,
            updated_at: Some(key.updated_at).filter(|at| *at != key.created_at),
            expires_at: key.expires_at,
            last_used_at: meter.last_used_at,
            creator_user_id: key.created_by.map(|person| person.to_string()),
            workspace_id: workspace_of(key.org),
            external_user: None,
            allowed_models: key.rules.models.as_ref().map(|models| models.iter().map(str::to_owned).collect()),
            requests_per_minute: key.rules.per_minute.map(PerMinute::get),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(text: &str) -> UpdateKey {
        serde_json::from_str(text).expect("an update")
    }

    fn cents(cents: i64) -> Option<Usd> {
        Some(Usd::from_cents(cents))
    }

    #[test]
    fn a_limit_keeps_its_window_and_a_window_its_limit() {
        let monthly = Limits { month: cents(500), ..Limits::default() };
        let after = |text: &str| update(text).limits(&monthly);
        assert_eq!(after("{}"), Ok(None));
        assert_eq!(after(r#"{"limit":7}"#), Ok(Some(Limits { month: cents(700), ..Limits::default() })));
        assert_eq!(after(r#"{"limit_reset":"daily"}"#), Ok(Some(Limits { day: cents(500), ..Limits::default() })));
        assert_eq!(after(r#"{"limit_reset":null}"#), Ok(Some(Limits { total: cents(500), ..Limits::default() })));
        assert_eq!(after(r#"{"limit":null}"#), Ok(Some(Limits::default())));
        assert_eq!(update(r#"{"limit_reset":"daily"}"#).limits(&Limits::default()), Ok(Some(Limits::default())));
    }

    #[test]
    fn of_several_limits_none_is_lost_by_a_guess() {
        let two = Limits { day: cents(100), month: cents(2_000), ..Limits::default() };
        assert_eq!(update(r#"{"limit":7}"#).limits(&two), Err(SeveralLimits));
        assert_eq!(update(r#"{"limit":null}"#).limits(&two), Err(SeveralLimits));
        let anew = update(r#"{"limits":{"daily":2,"weekly":5},"limit":4,"limit_reset":"weekly"}"#).limits(&two);
        assert_eq!(anew, Ok(Some(Limits { day: cents(200), week: cents(400), ..Limits::default() })));
    }

    #[test]
    fn a_whole_number_may_have_a_point() {
        let calls = |text: &str| {
            serde_json::from_str::<CreateKey>(&format!(r#"{{"name":"a","requests_per_minute":{text}}}"#))
                .map(|body| body.requests_per_minute)
        };
        assert_eq!(calls("300.0").expect("a number"), Some(Whole(300)));
        assert_eq!(calls("3e2").expect("a number"), Some(Whole(300)));
        assert_eq!(calls("null").expect("none"), None);
        for wrong in ["300.5", "-1", "4294967296", r#""300""#] {
            assert!(calls(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn null_is_no_name() {
        for wrong in [r#"{"name":null}"#, r#"{"disabled":null}"#, r#"{"expires_at":null}"#, r#"{"limits":null}"#] {
            assert!(serde_json::from_str::<UpdateKey>(wrong).is_err(), "{wrong}");
        }
    }
}
