//! Sums of calls by what a program wants to tell apart.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use std::time::Instant;
use utoipa::ToSchema;

use super::answer_rows::{self, Row};
use super::extract::Managing;
use super::filters::{self, FilterBody};
use super::metrics::{DIMENSIONS, GRANULARITIES, METRICS, Metric, OPERATORS, dimension, granularity, metric};
use crate::activity::{self, Analysis, Dimension, Granularity, Picked, Slice, Span};
use crate::base::ids::OrgId;
use crate::db;
use crate::web::App;
use crate::web::api::{ApiError, Data, ErrorBody, Strict, answered, private, to_bytes};

/// Days of an answer where the program does not say which.
const DEFAULT_DAYS: i64 = 30;
const MAX_DAYS: i64 = 400;
/// Minutes are counted from the calls themselves.
const MAX_HOURS_BY_MINUTE: i64 = 6;
/// Questions that only calls answer: the days, and the calls that are looked at for one answer.
const MAX_DAYS_OF_CALLS: i64 = 31;
const MAX_CALLS: u64 = 100_000;
const MAX_METRICS: usize = 30;
const MAX_DIMENSIONS: usize = 2;
const DEFAULT_LIMIT: usize = 1_000;
pub const MAX_LIMIT: usize = 20_000;

/// What a program asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AnalyticsBody {
    /// What to count, at least one of the names of `GET /analytics/meta`.
    #[schema(min_items = 1)]
    metrics: Vec<String>,
    /// What to tell apart, at most two.
    #[serde(default)]
    #[schema(max_items = 2)]
    dimensions: Vec<String>,
    /// Which calls count: all of these must hold.
    #[serde(default)]
    #[schema(max_items = 20)]
    filters: Vec<FilterBody>,
    /// `minute`, `hour`, `day`, `week` or `month`, in UTC; without it there is one sum.
    granularity: Option<String>,
    /// By default the last 30 days.
    time_range: Option<TimeRange>,
    order_by: Option<OrderBy>,
    /// Rows in all; by default 1,000, or as many as a row of time with dimensions has.
    #[schema(minimum = 1)]
    limit: Option<usize>,
    /// Rows of each combination of dimensions.
    #[schema(minimum = 1)]
    group_limit: Option<usize>,
}

/// From a moment, included, to another, not included.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeRange {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// A metric or dimension that was asked for, `request_count`, or `date`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderBy {
    pub field: String,
    pub direction: Direction,
}

#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    Asc,
    Desc,
}

/// An answer.
#[derive(Serialize, ToSchema)]
pub struct AnalyticsResult {
    /// A row for each bucket and combination: `date__day` (or as the granularity is called), the dimensions, the metrics.
    #[schema(value_type = Vec<Object>)]
    pub data: Vec<Row>,
    pub metadata: AnalyticsMetadata,
    /// Values of filters that are not known here and match nothing, and what the figures leave out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub struct AnalyticsMetadata {
    pub query_time_ms: u64,
    pub row_count: usize,
    /// There are more rows than these.
    pub truncated: bool,
}

#[derive(Serialize, ToSchema)]
pub struct AnalyticsAnswer {
    pub data: AnalyticsResult,
}

/// What can be asked for.
#[derive(Serialize, ToSchema)]
pub struct AnalyticsMeta {
    pub metrics: Vec<MetricInfo>,
    pub dimensions: Vec<NamedInfo>,
    pub operators: Vec<OperatorInfo>,
    pub granularities: Vec<NamedInfo>,
}

#[derive(Serialize, ToSchema)]
pub struct MetricInfo {
    pub name: &'static str,
    pub display_label: &'static str,
    pub is_rate: bool,
    pub display_format: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct NamedInfo {
    pub name: &'static str,
    pub display_label: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct OperatorInfo {
    pub name: &'static str,
    pub value_type: &'static str,
}

#[derive(Serialize, ToSchema)]
pub struct AnalyticsMetaAnswer {
    pub data: AnalyticsMeta,
}

/// A dimension of an answer: one of the sums, or the one workspace that an organization has here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Column {
    Sums(Dimension),
    Workspace,
}

/// A question that was understood.
pub struct Asked {
    pub metrics: Vec<&'static Metric>,
    pub columns: Vec<(&'static str, Column)>,
    pub granularity: Option<Granularity>,
    pub order_by: Option<OrderBy>,
    pub limit: Option<usize>,
    pub group_limit: Option<usize>,
    span: Span,
}

/// Tells which metrics, dimensions, operators and granularities `POST /analytics/query` knows.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may not manage.
#[utoipa::path(
    get,
    path = "/api/v1/analytics/meta",
    tag = "Organization",
    responses(
        (status = 200, body = AnalyticsMetaAnswer),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn analytics_meta(_: Managing) -> Result<HttpResponse, ApiError> {
    let named = |list: &[(&'static str, &'static str)]| {
        list.iter().map(|(name, label)| NamedInfo { name, display_label: label }).collect()
    };
    let meta = AnalyticsMeta {
        metrics: METRICS
            .iter()
            .map(|one| MetricInfo {
                name: one.name,
                display_label: one.label,
                is_rate: one.is_rate,
                display_format: one.format,
            })
            .collect(),
        dimensions: named(&DIMENSIONS.map(|(name, label, _)| (name, label))),
        operators: OPERATORS.iter().map(|(name, value_type)| OperatorInfo { name, value_type }).collect(),
        granularities: named(&GRANULARITIES.map(|(name, label, _)| (name, label))),
    };
    Ok(private(to_bytes(&Data { data: meta })?))
}

/// Sums the calls of the organization by up to two dimensions and by time.
///
/// # Errors
/// 400 for a question that cannot be read, 401 without a valid key, 403 for a key that may not manage, 503 while the
/// database is away.
#[utoipa::path(
    post,
    path = "/api/v1/analytics/query",
    tag = "Organization",
    request_body = AnalyticsBody,
    responses(
        (status = 200, body = AnalyticsAnswer),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 408, body = ErrorBody),
        (status = 413, body = ErrorBody),
        (status = 422, description = "Too many calls for what only calls tell", body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn query_analytics(
    app: web::Data<App>,
    caller: Managing,
    body: Result<Strict<AnalyticsBody>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (began, org, mut body) = (Instant::now(), caller.get().org, body?.value);
    let given = std::mem::take(&mut body.filters);
    let asked = Asked::read(body, app.clock.now())?;
    let mut conn = answered(db::tenant(&app.db, org)).await?;
    let mut found = filters::resolve(&mut conn, org, &given).await?;
    let of_calls = found.of_calls || asked.is_of_calls();
    if of_calls {
        found.warnings.extend(look_at_calls(&mut conn, org, asked.span).await?);
    } else {
        found.warnings.extend(look_at_parts(&mut conn, org, &asked).await?);
    }
    let dimensions = asked.columns.iter().filter_map(|(_, column)| match column {
        Column::Sums(dimension) => Some(*dimension),
        Column::Workspace => None,
    });
    let analysis = Analysis {
        span: asked.span,
        granularity: asked.granularity,
        dimensions: dimensions.collect(),
        models: found.models,
        providers: found.providers,
        apps: found.apps,
        keys: found.keys,
        finishes: found.finishes,
        origins: found.origins,
        of_calls,
        members: if found.nothing { Picked { only: Some(Vec::new()), not: Vec::new() } } else { found.members },
    };
    let analyzed = answered(activity::analyze(&mut conn, org, &analysis)).await?;
    let (data, truncated) = answer_rows::rows(&mut conn, org, &asked, analyzed).await?;
    let metadata = AnalyticsMetadata {
        query_time_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        row_count: data.len(),
        truncated,
    };
    let result = AnalyticsResult { data, metadata, warnings: found.warnings };
    Ok(private(to_bytes(&AnalyticsAnswer { data: result })?))
}

/// Whether a question may be answered from the calls of a time; what to know about the answer.
async fn look_at_calls(conn: &mut PgConnection, org: OrgId, span: Span) -> Result<Option<String>, ApiError> {
    if span.to - span.from > TimeDelta::days(MAX_DAYS_OF_CALLS) {
        return Err(ApiError::invalid(format!(
            "Latency, throughput, discounts, finish reasons, origins and what own keys come to are known of single calls: \
             `time_range` has at most {MAX_DAYS_OF_CALLS} days for them."
        )));
    }
    let calls = answered(activity::totals(conn, org, span, &Slice::default())).await?.requests;
    if calls > MAX_CALLS {
        return Err(ApiError::unprocessable(format!(
            "There are {calls} calls in this time, and what only single calls tell is answered for {MAX_CALLS} at most. \
             Ask for a shorter `time_range`."
        )));
    }
    let gone = answered(activity::closed_until(conn, org)).await?.filter(|until| *until > span.from);
    Ok(gone.map(not_counted))
}

/// What to know about an answer from the sums per hour where it asks for parts of hours: these are of calls.
async fn look_at_parts(conn: &mut PgConnection, org: OrgId, asked: &Asked) -> Result<Option<String>, ApiError> {
    let Some(until) = answered(activity::closed_until(conn, org)).await? else { return Ok(None) };
    if asked.granularity == Some(Granularity::Minute) {
        return Ok((until > asked.span.from).then(|| not_counted(until)));
    }
    let is_part = |edge: DateTime<Utc>| edge.duration_trunc(TimeDelta::hours(1)).is_ok_and(|hour| hour != edge);
    let lacks = [asked.span.from, asked.span.to].into_iter().any(|edge| is_part(edge) && edge < until);
    Ok(lacks.then(|| {
        let until = until.to_rfc3339();
        format!(
            "Calls before {until} are deleted, and not counted in an hour that `time_range` begins or ends within. Ask \
             for whole hours."
        )
    }))
}

fn not_counted(until: DateTime<Utc>) -> String {
    format!("Calls before {} are deleted and not counted here.", until.to_rfc3339())
}

impl Asked {
    fn is_of_calls(&self) -> bool {
        let of_calls = |column: &Column| matches!(column, Column::Sums(dimension) if dimension.is_of_calls());
        self.metrics.iter().any(|metric| metric.is_of_calls) || self.columns.iter().any(|(_, column)| of_calls(column))
    }

    fn read(body: AnalyticsBody, now: DateTime<Utc>) -> Result<Asked, ApiError> {
        if body.metrics.is_empty() || body.metrics.len() > MAX_METRICS {
            return Err(ApiError::invalid(format!("`metrics` must name 1 to {MAX_METRICS} of GET /analytics/meta.")));
        }
        if body.dimensions.len() > MAX_DIMENSIONS {
            return Err(ApiError::invalid(format!("`dimensions` names at most {MAX_DIMENSIONS}.")));
        }
        let metrics = body.metrics.iter().map(|name| metric(name)).collect::<Result<Vec<_>, _>>()?;
        let columns = body.dimensions.iter().map(|name| dimension(name)).collect::<Result<Vec<_>, _>>()?;
        if columns.first().is_some_and(|first| columns.get(1) == Some(first)) {
            return Err(ApiError::invalid("`dimensions` names the same twice."));
        }
        let granularity = body.granularity.as_deref().map(granularity).transpose()?;
        for limit in [body.limit, body.group_limit].into_iter().flatten() {
            if limit == 0 || limit > MAX_LIMIT {
                return Err(ApiError::invalid(format!("Limits must be from 1 to {MAX_LIMIT}.")));
            }
        }
        let span = span(body.time_range, granularity, now)?;
        let asked = Asked {
            metrics,
            columns,
            granularity,
            order_by: body.order_by,
            limit: body.limit,
            group_limit: body.group_limit,
            span,
        };
        asked.check_order()?;
        Ok(asked)
    }

    /// Rows of an answer: of a row of time with dimensions as many as there are, so that no bucket is cut off.
    pub fn most(&self) -> usize {
        let series = self.granularity.is_some() && !self.columns.is_empty() && self.group_limit.is_none();
        self.limit.unwrap_or(if series { MAX_LIMIT } else { DEFAULT_LIMIT })
    }

    fn check_order(&self) -> Result<(), ApiError> {
        let Some(order) = &self.order_by else { return Ok(()) };
        let field = order.field.as_str();
        let known = matches!(field, "request_count" | "date")
            || self.metrics.iter().any(|metric| metric.name == field)
            || self.columns.iter().any(|(name, _)| *name == field);
        if known {
            return Ok(());
        }
        let told = "`order_by.field` must be a metric or dimension that was asked for, `request_count` or `date`.";
        Err(ApiError::invalid(told))
    }
}

fn span(range: Option<TimeRange>, granularity: Option<Granularity>, now: DateTime<Utc>) -> Result<Span, ApiError> {
    let Some(TimeRange { start, end }) = range else {
        let to = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now) + TimeDelta::hours(1);
        return if granularity == Some(Granularity::Minute) {
            Ok(Span { from: to - TimeDelta::hours(MAX_HOURS_BY_MINUTE), to })
        } else {
            Ok(Span { from: to - TimeDelta::days(DEFAULT_DAYS), to })
        };
    };
    let (length, within) = (end - start, start.timestamp() >= 0 && end.timestamp() < 7_258_118_400);
    if length <= TimeDelta::zero() || length > TimeDelta::days(MAX_DAYS) || !within {
        return Err(ApiError::invalid(format!("`time_range` must end after it starts, within {MAX_DAYS} days.")));
    }
    if granularity == Some(Granularity::Minute) && length > TimeDelta::hours(MAX_HOURS_BY_MINUTE) {
        return Err(ApiError::invalid(format!("By the minute, `time_range` has at most {MAX_HOURS_BY_MINUTE} hours.")));
    }
    Ok(Span { from: start, to: end })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Asked, ApiError> {
        let body: AnalyticsBody = serde_json::from_str(text).map_err(|error| ApiError::invalid(error.to_string()))?;
        Asked::read(body, "2026-11-26T12:30:00Z".parse().expect("a time"))
    }

    #[test]
    fn what_cannot_be_asked_is_told() {
        for (body, word) in [
            (r#"{"metrics":[]}"#, "`metrics`"),
            (r#"{"metrics":["request_count"],"dimensions":["a"]}"#, "`a`"),
            (r#"{"metrics":["odd"]}"#, "`odd`"),
            (r#"{"metrics":["request_count"],"granularity":"year"}"#, "`year`"),
            (r#"{"metrics":["request_count"],"limit":0}"#, "Limits"),
            (r#"{"metrics":["request_count"],"order_by":{"field":"model","direction":"asc"}}"#, "`order_by.field`"),
            (r#"{"metrics":["request_count"],"classifier_filters":{}}"#, "classifier_filters"),
            (
                r#"{"metrics":["request_count"],"time_range":{"start":"2026-11-26T00:00:00Z","end":"2026-11-25T00:00:00Z"}}"#,
                "`time_range`",
            ),
        ] {
            let error = read(body).err().expect(body);
            assert!(error.status() == 400 && error.message().contains(word), "{body}: {}", error.message());
        }
        let asked = read(r#"{"metrics":["request_count"],"dimensions":["model"],"granularity":"day"}"#).expect("good");
        assert_eq!((asked.most(), asked.span.to.to_rfc3339()), (MAX_LIMIT, "2026-11-26T13:00:00+00:00".into()));
    }
}
