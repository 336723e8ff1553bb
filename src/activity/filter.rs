//! Which calls are meant: filters that an address says.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::chart::Slice;
use super::usage::{FINISHES, STATUSES};
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, PersonId};

/// Values in the address are at most so long.
const MAX_VALUE: usize = 200;
/// The id of a call and its moment never differ by more, for both are made at its beginning.
const SLACK: TimeDelta = TimeDelta::minutes(5);

/// Which calls the log shows. Fields that are `None` let all through.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct LogFilter {
    /// As served; empty for calls that nobody served.
    pub model: Option<String>,
    /// As asked for.
    pub asked: Option<String>,
    pub key: Option<KeyId>,
    pub member: Option<PersonId>,
    pub provider: Option<String>,
    pub app: Option<String>,
    /// One of [`STATUSES`].
    pub status: Option<&'static str>,
    /// One of [`FINISHES`].
    pub finish: Option<&'static str>,
    /// On a provider account of the organization's own, or on none.
    pub own: Option<bool>,
    /// Calls that cost at least this.
    pub min: Option<Usd>,
    /// Calls that cost at most this.
    pub max: Option<Usd>,
    /// Calls that began at or after this.
    pub from: Option<DateTime<Utc>>,
    /// Calls that began before this.
    pub to: Option<DateTime<Utc>>,
    pub id: Option<CallId>,
    /// Only calls older than this one: the place in the list.
    pub before: Option<CallId>,
}

/// A value in the address that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the filter {field:?} cannot be read")]
pub struct FilterError {
    pub field: String,
}

/// Ids from one, included, to another, not included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ids {
    pub from: CallId,
    pub to: CallId,
}

impl LogFilter {
    /// The names under which an address says filters.
    pub const NAMES: [&str; 15] = [
        "model", "asked", "provider", "app", "key", "member", "status", "finish", "own", "min", "max", "from", "to",
        "id", "before",
    ];

    /// Reads the query part of an address. Empty values and names that are not filters are passed over.
    ///
    /// # Errors
    /// Names the first filter whose value is none.
    pub fn parse(query: &str) -> Result<LogFilter, FilterError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        LogFilter::of(&pairs)
    }

    /// The same from names and values.
    ///
    /// # Errors
    /// Names the first filter whose value is none.
    pub fn of(pairs: &[(String, String)]) -> Result<LogFilter, FilterError> {
        let mut filter = LogFilter::default();
        for (field, value) in pairs {
            if !value.is_empty() && !filter.set(field, value) {
                return Err(FilterError { field: field.clone() });
            }
        }
        Ok(filter)
    }

    /// False when the value cannot be read.
    fn set(&mut self, field: &str, value: &str) -> bool {
        match field {
            "model" => put(&mut self.model, text(value)),
            "asked" => put(&mut self.asked, text(value)),
            "provider" => put(&mut self.provider, text(value)),
            "app" => put(&mut self.app, text(value)),
            "key" => put(&mut self.key, KeyId::from_str(value).ok()),
            "member" => put(&mut self.member, PersonId::from_str(value).ok()),
            "status" => put(&mut self.status, STATUSES.into_iter().find(|status| *status == value)),
            "finish" => put(&mut self.finish, FINISHES.into_iter().find(|finish| *finish == value)),
            "own" => put(&mut self.own, yes_or_no(value)),
            "min" => put(&mut self.min, dollars(value)),
            "max" => put(&mut self.max, dollars(value)),
            "from" => put(&mut self.from, moment(value)),
            "to" => put(&mut self.to, moment(value)),
            "id" => put(&mut self.id, CallId::from_str(value).ok()),
            "before" => put(&mut self.before, CallId::from_str(value).ok()),
            _ => true,
        }
    }

    /// The filters that are on, by name, as they stand in an address. The place in the list is not one of them.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let time = |at: DateTime<Utc>| at.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true);
        let pairs = [
            ("model", self.model.clone()),
            ("asked", self.asked.clone()),
            ("key", self.key.map(|key| key.to_string())),
            ("member", self.member.map(|member| member.to_string())),
            ("provider", self.provider.clone()),
            ("app", self.app.clone()),
            ("status", self.status.map(str::to_owned)),
            ("finish", self.finish.map(str::to_owned)),
            ("own", self.own.map(|own| if own { "yes" } else { "no" }.to_owned())),
            ("min", self.min.map(Usd::exact)),
            ("max", self.max.map(Usd::exact)),
            ("from", self.from.map(time)),
            ("to", self.to.map(time)),
            ("id", self.id.map(|id| id.to_string())),
        ];
        pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }

    /// The query part of the address of this list, at its beginning.
    #[must_use]
    pub fn query(&self) -> String {
        serde_urlencoded::to_string(self.pairs()).unwrap_or_default()
    }

    /// The same list without one of its filters.
    #[must_use]
    pub fn without(&self, field: &str) -> String {
        let pairs: Vec<_> = self.pairs().into_iter().filter(|(name, _)| *name != field).collect();
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// The same list from the rows that are older than `call`.
    #[must_use]
    pub fn older_than(&self, call: CallId) -> String {
        let mut pairs = self.pairs();
        pairs.push(("before", call.to_string()));
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// The part of the filters that figures and charts follow too.
    #[must_use]
    pub fn slice(&self) -> Slice {
        Slice {
            model: self.model.clone(),
            provider: self.provider.clone(),
            app: self.app.clone(),
            key: self.key,
            member: self.member,
        }
    }

    /// Whether figures and charts of the slice count exactly the calls that the list shows.
    #[must_use]
    pub fn is_slice(&self) -> bool {
        self.beyond_sums().is_empty()
    }

    /// The filters that the sums per hour know nothing of, as people call them.
    #[must_use]
    pub fn beyond_sums(&self) -> Vec<&'static str> {
        let on = [
            (self.status.is_some(), "status"),
            (self.finish.is_some(), "finish"),
            (self.own.is_some(), "whose account"),
            (self.min.is_some() || self.max.is_some(), "cost"),
            (self.asked.is_some(), "model asked for"),
            (self.id.is_some(), "call id"),
        ];
        on.into_iter().filter(|(is_on, _)| *is_on).map(|(_, name)| name).collect()
    }

    /// Whether the sums per hour can tell that an hour has none of these calls.
    pub(super) fn has_sums(&self) -> bool {
        self.status.is_some() || self.slice() != Slice::default()
    }

    /// Which ids these calls can have: an id carries the time of its call.
    pub(super) fn ids(&self) -> Ids {
        let last = CallId(uuid::Uuid::max());
        let from = self.from.map_or(CallId(uuid::Uuid::nil()), |from| CallId::floor(from - SLACK));
        let to = self.to.map_or(last, |to| CallId::floor(to + SLACK));
        let to = to.min(self.before.unwrap_or(last));
        match self.id {
            Some(id) => {
                Ids { from: from.max(id), to: to.min(CallId(uuid::Uuid::from_u128(id.0.as_u128().saturating_add(1)))) }
            }
            None => Ids { from, to },
        }
    }
}

impl Ids {
    /// Nothing of these is later than the hour that begins at `hour`.
    pub fn until_end_of(self, hour: DateTime<Utc>) -> Ids {
        Ids { to: self.to.min(CallId::floor(hour + TimeDelta::hours(1) + SLACK)), ..self }
    }

    /// No call of these began later than this.
    pub fn latest(self) -> DateTime<Utc> {
        self.to.moment() + SLACK
    }

    /// No call of these began earlier than this.
    pub fn earliest(self) -> DateTime<Utc> {
        self.from.moment() - SLACK
    }
}

fn put<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    *field = value;
    field.is_some()
}

fn text(value: &str) -> Option<String> {
    (value.len() <= MAX_VALUE && !value.contains('\0')).then(|| value.to_owned())
}

fn yes_or_no(value: &str) -> Option<bool> {
    match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn dollars(value: &str) -> Option<Usd> {
    Usd::parse(value.trim()).ok().filter(|amount| !amount.is_negative())
}

/// A moment in RFC 3339, or the beginning of a UTC day.
fn moment(value: &str) -> Option<DateTime<Utc>> {
    let day = || NaiveDate::from_str(value).ok().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(value).ok().map(|at| at.with_timezone(&Utc)).or_else(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_what_it_says() {
        let key = KeyId::fresh();
        let query = format!(
            "model=a%2Fb&key={key}&status=failed&from=2026-11-01&app=&page=3&min=0.5&max=1&own=no&finish=length"
        );
        let filter = LogFilter::parse(&query).expect("all of it can be read");
        assert_eq!(filter.status, Some("failed"));
        assert_eq!(LogFilter::parse(&filter.query()), Ok(filter.clone()));
        assert!(!filter.without("key").contains("key="));
        assert!(filter.older_than(CallId::fresh()).contains("before=gen-"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for bad in
            ["key=1", "status=odd", "own=1", "finish=odd", "from=yesterday", "id=x", "model=%00", "min=-1", "max=lots"]
        {
            let error = LogFilter::parse(bad).expect_err(bad);
            assert!(bad.starts_with(&error.field), "{error}");
        }
    }

    #[test]
    fn a_later_value_never_widens_what_an_earlier_one_narrowed_silently() {
        assert!(LogFilter::parse("status=failed&status=odd").is_err());
    }

    #[test]
    fn ids_bound_what_times_and_places_bound() {
        let id = CallId::fresh();
        let (from, to) = (id.moment(), id.moment() + TimeDelta::hours(1));
        let filter = LogFilter { from: Some(from), to: Some(to), ..LogFilter::default() };
        assert!(filter.ids().from <= id && id < filter.ids().to && filter.ids().from.moment() == from - SLACK);
        let one = LogFilter { id: Some(id), ..filter.clone() }.ids();
        assert_eq!((one.from, one.to.0.as_u128()), (id, id.0.as_u128() + 1));
        assert!(LogFilter { before: Some(id), ..filter }.ids().to <= id);
    }
}
