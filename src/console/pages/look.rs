//! Looking at an organization as its owner sees it.

use actix_web::{HttpResponse, web};
use chrono::TimeDelta;

use super::orgs::{ReasonForm, looked};
use super::{again, done, read_id};
use crate::accounts::SignedIn;
use crate::audit::{self, Action, Actor, Chain, Entry};
use crate::base::Origin;
use crate::base::ids::OrgId;
use crate::console::extract::Acting;
use crate::console::{act, store};
use crate::orgs;
use crate::web::{App, EmptyForm, PageError, Protected, client};

/// So long a look lasts, unless it is ended before.
const LASTS: TimeDelta = TimeDelta::minutes(30);

/// `POST /admin/organizations/{org}/look`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`].
pub async fn begin(
    app: web::Data<App>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<ReasonForm>,
) -> Result<HttpResponse, PageError> {
    let id: OrgId = read_id(&id)?;
    let org = store::org(&mut *app.db.acquire().await?, id).await?.filter(|org| org.deleted_at.is_none());
    let org = org.ok_or(PageError::NotFound)?;
    let Some(mut act) = act::begin(&app, &staff, &form.form, &form.reason, "look").await? else {
        return Ok(again(&app, &format!("/admin/organizations/{id}")));
    };
    orgs::start_look(&mut act.tx, staff.signed_in.session.id, id, LASTS).await?;
    let (target, change) = looked(id, &org.name);
    act.note(Some(id), Action::OrgLookedAt, target, change).await?;
    act.commit().await?;
    Ok(done(&app, "/", true, &format!("You look at {} now.", org.name)))
}

/// `POST /admin/look/end`: open to whoever looks, also when their role was taken away meanwhile.
///
/// # Errors
/// Database errors only.
pub async fn end(
    app: web::Data<App>,
    signed_in: SignedIn,
    request: actix_web::HttpRequest,
    Protected(EmptyForm {}): Protected<EmptyForm>,
) -> Result<HttpResponse, PageError> {
    let mut tx = app.db.begin().await?;
    let Some(org) = orgs::end_look(&mut tx, signed_in.session.id).await? else {
        return Ok(crate::web::see_other("/"));
    };
    let name = orgs::find_org(&mut tx, org).await?.unwrap_or_default();
    let (target, (before, after)) = looked(org, &name);
    let entry = Entry::new(Chain::Org(org), Actor::Operator, Action::OrgLookEnded, &Origin::here());
    audit::record(&mut tx, entry.on(target.clone()).change(before.clone(), after.clone())).await?;
    let person = signed_in.person();
    let origin = client::origin(&app, &request);
    let entry = Entry::new(Chain::House, Actor::Person(person.id), Action::OrgLookEnded, &origin);
    audit::record(&mut tx, entry.named(&person.name).on(target).change(before, after)).await?;
    tx.commit().await?;
    let to = if signed_in.session.staff.is_some() { format!("/admin/organizations/{org}") } else { "/".into() };
    Ok(done(&app, &to, true, "You no longer look at it."))
}
