//! What was called on each of the last days.

use actix_web::{HttpResponse, web};
use chrono::{Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::{IntoParams, ToSchema};

use super::extract::Managing;
use crate::activity::{self, DayRow, Slice, Span};
use crate::base::ids::{OrgId, PersonId};
use crate::base::secret::Digest;
use crate::db;
use crate::keys::store;
use crate::orgs;
use crate::web::App;
use crate::web::api::{ApiError, ErrorBody, Number, StrictQuery, answered, private, to_bytes};

/// Days that can be asked for, all of them over.
const DAYS: u64 = 30;
/// Models, providers and days in one answer; whoever has more asks day by day.
const MAX_ROWS: i64 = 20_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActivityQuery {
    /// Only this UTC day, one of the last 30 that are over.
    date: Option<NaiveDate>,
    /// Only calls of the key with this hash.
    api_key_hash: Option<String>,
    /// Only calls with keys that this member made.
    user_id: Option<String>,
    /// `workspace` adds `workspace_id` to every item; an organization has one workspace here.
    #[param(inline)]
    group_by: Option<GroupBy>,
    /// The workspace, which is the organization's own.
    workspace_id: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum GroupBy {
    Workspace,
}

/// What was called, by day, model and provider, the newest day first.
#[derive(Serialize, ToSchema)]
pub struct ActivityBody {
    pub data: Vec<ActivityItem>,
}

/// One UTC day of one model at one provider. Amounts are US dollars.
#[derive(Serialize, ToSchema)]
pub struct ActivityItem {
    pub date: NaiveDate,
    pub model: String,
    pub model_permaslug: String,
    /// The provider and what it served.
    pub endpoint_id: String,
    pub provider_name: String,
    #[schema(value_type = f64)]
    pub usage: Number,
    /// What providers charged for calls with keys of the organization's own.
    #[schema(value_type = f64)]
    pub byok_usage_inference: Number,
    pub requests: i64,
    pub prompt_tokens: i64,
    pub completion_tokens: i64,
    pub reasoning_tokens: i64,
    pub cached_tokens: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub workspace_id: Option<String>,
}

impl ActivityItem {
    fn of(row: DayRow, workspace: Option<String>) -> ActivityItem {
        ActivityItem {
            date: row.day,
            endpoint_id: format!("{}:{}", row.provider, row.model),
            model_permaslug: row.model.clone(),
            model: row.model,
            provider_name: row.provider,
            usage: Number(row.cost),
            byok_usage_inference: Number(row.upstream_cost),
            requests: row.requests,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            reasoning_tokens: row.reasoning_tokens,
            cached_tokens: row.cached_tokens,
            workspace_id: workspace,
        }
    }
}

/// Tells what was called on the last 30 UTC days that are over, by day, model and provider.
///
/// # Errors
/// 400 for a query that cannot be read, 401 without a valid key, 403 for a key that may not manage, 404 for a day that
/// is not one of these and for a key, member or workspace that the organization does not have, 503 while the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/v1/activity",
    tag = "Organization",
    params(ActivityQuery),
    responses(
        (status = 200, body = ActivityBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 422, description = "There is more than one answer can hold", body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn recent_activity(
    app: web::Data<App>,
    caller: Managing,
    query: Result<StrictQuery<ActivityQuery>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let (org, query) = (caller.get().org, query?.0);
    let span = span(query.date, app.clock.now().date_naive())?;
    own_workspace(org, query.workspace_id.as_deref())?;
    let mut conn = answered(db::tenant(&app.db, org)).await?;
    let slice = slice(&mut conn, org, &query).await?;
    let rows = answered(activity::days(&mut conn, org, span, &slice, MAX_ROWS + 1)).await?;
    if i64::try_from(rows.len()).is_ok_and(|found| found > MAX_ROWS) {
        return Err(ApiError::unprocessable("There is more than one answer can hold. Ask for one day with `date`."));
    }
    let workspace = query.group_by.map(|GroupBy::Workspace| workspace_of(org));
    let data = rows.into_iter().map(|row| ActivityItem::of(row, workspace.clone())).collect();
    Ok(private(to_bytes(&ActivityBody { data })?))
}

/// Refuses another workspace than the organization's own.
///
/// # Errors
/// 404 for another one.
pub fn own_workspace(org: OrgId, asked: Option<&str>) -> Result<(), ApiError> {
    if asked.is_some_and(|asked| asked != workspace_of(org)) { Err(ApiError::not_found()) } else { Ok(()) }
}

/// The one workspace of an organization, for clients that expect one.
#[must_use]
pub fn workspace_of(org: OrgId) -> String {
    org.0.to_string()
}

fn span(date: Option<NaiveDate>, today: NaiveDate) -> Result<Span, ApiError> {
    let first = today.checked_sub_days(Days::new(DAYS)).unwrap_or(today);
    let (from, to) = match date {
        None => (first, today),
        Some(day) if day >= first && day < today => (day, day.checked_add_days(Days::new(1)).unwrap_or(today)),
        Some(_) => return Err(ApiError::nothing(format!("`date` must be from {first} to the day before {today}."))),
    };
    let midnight = |day: NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    Ok(Span { from: midnight(from), to: midnight(to) })
}

async fn slice(conn: &mut PgConnection, org: OrgId, query: &ActivityQuery) -> Result<Slice, ApiError> {
    let mut slice = Slice::default();
    if let Some(hash) = &query.api_key_hash {
        let digest = hex::decode(hash).ok().and_then(|bytes| Digest::from_bytes(&bytes));
        let digest = digest.ok_or_else(ApiError::not_found)?;
        let key = answered(store::find_ever(conn, org, &digest)).await?;
        slice.key = Some(key.ok_or_else(ApiError::not_found)?);
    }
    if let Some(user) = &query.user_id {
        let person: PersonId = user.parse().map_err(|_| ApiError::not_found())?;
        let member = answered(orgs::member_row(conn, org, person)).await?;
        slice.member = Some(member.ok_or_else(ApiError::not_found)?.person);
    }
    Ok(slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_days_that_are_over_can_be_asked_for() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let today = day("2026-11-26");
        let all = span(None, today).expect("a span");
        assert_eq!(all.from.to_rfc3339(), "2026-10-27T00:00:00+00:00");
        assert_eq!(all.to.to_rfc3339(), "2026-11-26T00:00:00+00:00", "today is not over");
        assert_eq!(span(Some(day("2026-11-25")), today).expect("yesterday").to, all.to);
        assert_eq!(span(Some(day("2026-10-27")), today).expect("the first").from, all.from);
        for outside in ["2026-11-26", "2026-11-27", "2026-10-26", "0001-01-01"] {
            assert_eq!(span(Some(day(outside)), today).err().map(|error| error.status()), Some(404), "{outside}");
        }
    }
}
