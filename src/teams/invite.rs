//! Inviting, with what webhooks hear of it.

use sqlx::PgConnection;

use crate::accounts::Links;
use crate::base::EmailAddress;
use crate::hooks::{self, EventKind, Payload};
use crate::orgs::{self, Acting, Lasts, OrgError, Role};

/// As [`orgs::invite`]; webhooks are told that somebody was invited, by whom and as what, not who.
///
/// # Errors
/// As [`orgs::invite`].
pub async fn invite(
    conn: &mut PgConnection,
    acting: &Acting<'_>,
    links: &Links,
    email: &EmailAddress,
    role: Role,
    lasts: Lasts,
) -> Result<(), OrgError> {
    let id = orgs::invite(conn, acting, links, email, role, lasts).await?;
    let payload = Payload::new()
        .with("invitation", id.to_string())
        .with("role", role.as_str())
        .with("invited_by", acting.person.id.to_string());
    hooks::emit(conn, acting.org, EventKind::MemberInvited, &format!("invitation:{id}"), payload).await?;
    Ok(())
}
