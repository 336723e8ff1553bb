//! The log: one row a call, newest first, filtered and paged by address.

use std::str::FromStr;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::PgConnection;

use super::chart::Slice;
use super::store::{self, LogQuery};
use super::usage::STATUSES;
use crate::base::Usd;
use crate::base::ids::{CallId, KeyId, OrgId, PersonId};
use crate::base::paging::{Rows, fetch_limit};

/// A count of the log stops here: what lies beyond is "more than".
pub const MAX_COUNTED: i64 = 10_000;
/// An answer that came faster than this came in one piece, which says nothing of how fast it was written.
const SHORTEST_FOR_SPEED_MS: i64 = 250;
/// Values in the address are at most so long.
const MAX_VALUE: usize = 200;

/// Which calls the log shows. Fields that are `None` let all through.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct LogFilter {
    /// As served, or as asked for where nothing was served.
    pub model: Option<String>,
    pub key: Option<KeyId>,
    pub member: Option<PersonId>,
    pub provider: Option<String>,
    pub app: Option<String>,
    /// One of [`STATUSES`].
    pub status: Option<&'static str>,
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

impl LogFilter {
    /// Reads the query part of an address. Empty values and names that are not filters are passed over.
    ///
    /// # Errors
    /// Names the first filter whose value is none.
    pub fn parse(query: &str) -> Result<LogFilter, FilterError> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).unwrap_or_default();
        let mut filter = LogFilter::default();
        for (field, value) in pairs {
            if !value.is_empty() && !filter.set(&field, &value) {
                return Err(FilterError { field });
            }
        }
        Ok(filter)
    }

    /// False when the value cannot be read.
    fn set(&mut self, field: &str, value: &str) -> bool {
        match field {
            "model" => put(&mut self.model, text(value)),
            "provider" => put(&mut self.provider, text(value)),
            "app" => put(&mut self.app, text(value)),
            "key" => put(&mut self.key, KeyId::from_str(value).ok()),
            "member" => put(&mut self.member, PersonId::from_str(value).ok()),
            "status" => put(&mut self.status, STATUSES.into_iter().find(|status| *status == value)),
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
            ("key", self.key.map(|key| key.to_string())),
            ("member", self.member.map(|member| member.to_string())),
            ("provider", self.provider.clone()),
            ("app", self.app.clone()),
            ("status", self.status.map(str::to_owned)),
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

    fn to_query(&self, org: OrgId, limit: i64) -> LogQuery<'_> {
        LogQuery { org, filter: self, limit }
    }
}

fn put<T>(field: &mut Option<T>, value: Option<T>) -> bool {
    *field = value;
    field.is_some()
}

fn text(value: &str) -> Option<String> {
    (value.len() <= MAX_VALUE && !value.contains('\0')).then(|| value.to_owned())
}

/// A moment in RFC 3339, or the beginning of a UTC day.
fn moment(value: &str) -> Option<DateTime<Utc>> {
    let day = || NaiveDate::from_str(value).ok().map(|date| date.and_time(NaiveTime::MIN).and_utc());
    DateTime::parse_from_rfc3339(value).ok().map(|at| at.with_timezone(&Utc)).or_else(day)
}

/// One line of the log.
#[derive(Clone, Debug)]
pub struct LogRow {
    pub call: CallId,
    pub created_at: DateTime<Utc>,
    pub key: KeyId,
    pub member: Option<PersonId>,
    pub app: String,
    pub model_asked: String,
    /// Empty when none answered.
    pub model: String,
    pub provider: String,
    pub streamed: bool,
    pub status: String,
    pub cancelled: bool,
    pub http_status: i16,
    pub finish_reason: String,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub cached_tokens: i64,
    pub reasoning_tokens: i64,
    pub cost: Usd,
    pub is_byok: bool,
    pub first_token_ms: Option<i32>,
    pub duration_ms: i32,
}

impl LogRow {
    /// The model that answered, else the one that was asked for.
    #[must_use]
    pub fn shown_model(&self) -> &str {
        if self.model.is_empty() { &self.model_asked } else { &self.model }
    }

    /// As [`speed_tenths`].
    #[must_use]
    pub fn speed_tenths(&self) -> Option<i64> {
        speed_tenths(self.completion_tokens, self.first_token_ms, self.duration_ms)
    }

    /// Whether tokens were counted. A call that nobody answered has none, which is not the same as zero.
    #[must_use]
    pub fn has_tokens(&self) -> bool {
        self.status == "success" || self.prompt_tokens > 0 || self.completion_tokens > 0
    }
}

/// Tenths of output tokens per second, counted from the first token; `None` where that says nothing.
#[must_use]
pub fn speed_tenths(completion_tokens: i64, first_token_ms: Option<i32>, duration_ms: i32) -> Option<i64> {
    let milliseconds = i64::from(duration_ms) - i64::from(first_token_ms.unwrap_or(0));
    (completion_tokens > 0 && milliseconds >= SHORTEST_FOR_SPEED_MS).then(|| completion_tokens * 10_000 / milliseconds)
}

/// A page of an organization's log, newest first.
///
/// # Errors
/// Database errors only.
pub async fn log(
    conn: &mut PgConnection,
    org: OrgId,
    filter: &LogFilter,
    limit: u16,
) -> Result<Rows<LogRow>, sqlx::Error> {
    let rows = store::log_rows(conn, &filter.to_query(org, fetch_limit(limit))).await?;
    Ok(Rows::of(rows, limit))
}

/// How many calls the filters let through, wherever the list stands; at most one more than [`MAX_COUNTED`].
///
/// # Errors
/// Database errors only.
pub async fn count(conn: &mut PgConnection, org: OrgId, filter: &LogFilter) -> Result<i64, sqlx::Error> {
    store::count_log(conn, &filter.to_query(org, MAX_COUNTED + 1)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_back_what_it_says() {
        let key = KeyId::fresh();
        let query = format!("model=a%2Fb&key={key}&status=failed&from=2026-11-01&app=&page=3");
        let filter = LogFilter::parse(&query).expect("all of it can be read");
        assert_eq!(filter.status, Some("failed"));
        assert_eq!(LogFilter::parse(&filter.query()), Ok(filter.clone()));
        assert!(!filter.without("key").contains("key="));
        assert!(filter.older_than(CallId::fresh()).contains("before=gen-"));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for bad in ["key=1", "status=odd", "from=yesterday", "id=x", "model=%00"] {
            let error = LogFilter::parse(bad).expect_err(bad);
            assert!(bad.starts_with(&error.field), "{error}");
        }
    }

    #[test]
    fn a_speed_is_shown_only_where_it_was_measured() {
        assert_eq!(speed_tenths(100, Some(400), 2_400), Some(500));
        assert_eq!(speed_tenths(100, None, 2_000), Some(500), "no stream");
        assert_eq!(speed_tenths(100, Some(400), 400 + 249), None, "all of it came at once");
        assert_eq!(speed_tenths(0, Some(400), 2_400), None);
    }

    #[test]
    fn a_later_value_never_widens_what_an_earlier_one_narrowed_silently() {
        assert!(LogFilter::parse("status=failed&status=odd").is_err());
    }
}
