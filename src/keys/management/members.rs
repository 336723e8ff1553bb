//! Who is in the organization.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::extract::Managing;
use crate::db;
use crate::orgs::{self, MemberRow, Role};
use crate::web::App;
use crate::web::api::{ApiError, ErrorBody, StrictQuery, answered, private, to_bytes};

/// Members in one answer, if the program does not say how many.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 100;
/// Far more than an organization can have.
const MAX_OFFSET: u32 = 1_000_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MembersQuery {
    /// Leave out so many.
    #[param(minimum = 0, maximum = 1_000_000)]
    offset: Option<u32>,
    /// At most so many.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// The members of an organization, or some of them.
#[derive(Serialize, ToSchema)]
pub struct MembersBody {
    pub data: Vec<MemberInfo>,
    /// How many there are in all.
    pub total_count: i64,
}

/// A member.
#[derive(Serialize, ToSchema)]
pub struct MemberInfo {
    pub id: String,
    pub email: String,
    /// The whole name: names are not taken apart here.
    pub first_name: Option<String>,
    /// Always `null`.
    pub last_name: Option<String>,
    /// `org:admin` for owners and admins, else `org:member`.
    pub role: &'static str,
    /// The role as it is called here: `owner`, `admin`, `billing` or `member`.
    pub organization_role: &'static str,
}

impl From<MemberRow> for MemberInfo {
    fn from(row: MemberRow) -> MemberInfo {
        let role = row.role();
        MemberInfo {
            id: row.person.to_string(),
            email: row.email,
            first_name: Some(row.name),
            last_name: None,
            role: match role {
                Role::Owner | Role::Admin => "org:admin",
                Role::Billing | Role::Member => "org:member",
            },
            organization_role: role.as_str(),
        }
    }
}

/// Lists the members of the organization, owners first.
///
/// # Errors
/// 400 for a number out of range, 401 without a valid key, 403 for a key that may not manage, 503 while the database is
/// away.
#[utoipa::path(
    get,
    path = "/api/v1/organization/members",
    tag = "Organization",
    params(MembersQuery),
    responses(
        (status = 200, body = MembersBody),
        (status = 400, body = ErrorBody),
        (status = 401, body = ErrorBody),
        (status = 403, body = ErrorBody),
        (status = 429, body = ErrorBody),
        (status = 503, body = ErrorBody),
    ),
)]
pub async fn list_members(
    app: web::Data<App>,
    caller: Managing,
    query: Result<StrictQuery<MembersQuery>, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let query = query?.0;
    let (limit, offset) = (query.limit.unwrap_or(DEFAULT_LIMIT), query.offset.unwrap_or(0));
    if limit == 0 || limit > MAX_LIMIT || offset > MAX_OFFSET {
        let message = format!("`limit` must be from 1 to {MAX_LIMIT}, and `offset` at most {MAX_OFFSET}.");
        return Err(ApiError::invalid(message));
    }
    let org = caller.get().org;
    let mut conn = answered(db::tenant(&app.db, org)).await?;
    let rows = answered(orgs::members_from(&mut conn, org, offset.into(), limit.into())).await?;
    let total_count = answered(orgs::count_members(&mut conn, org)).await?;
    Ok(private(to_bytes(&MembersBody { data: rows.into_iter().map(MemberInfo::from).collect(), total_count })?))
}
