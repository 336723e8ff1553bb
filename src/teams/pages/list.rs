//! The list of members, and of who is invited.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::members::href;
use super::{of_team, roles};
use crate::base::Usd;
use crate::base::ids::{InvitationId, MeterId, OrgId, PersonId};
use crate::base::money::thousands;
use crate::base::paging::{Rows, fetch_limit};
use crate::keys::{self, shown};
use crate::ledger::{self, MeterState};
use crate::orgs::{self, Invitation, Lasts, Manager, MemberRow, Role};
use crate::web::present::{amount, counted, day, when};
use crate::web::views::teams as views;
use crate::web::views::{Choice, Field, Pager};
use crate::web::{App, PageError, html, see_other};

const PATH: &str = "/settings/members";
/// Members of one page. On a phone each is a card, and the form that invites comes after them.
const MEMBERS: u16 = 25;
/// Open invitations of one page. They stand above the form that makes another, so they are fewer.
const INVITATIONS: u16 = 20;
/// Longer than any name; an address that is longer is found by its beginning.
const MAX_SEARCH: usize = 80;

/// Where the lists stand, from the address of the page.
#[derive(Clone, Default, Deserialize)]
pub struct ListQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    invited_before: String,
}

/// The same, read. What cannot be read means the beginning.
#[derive(Clone, Default)]
struct Place {
    search: String,
    after: Option<PersonId>,
    invited_before: Option<InvitationId>,
}

impl Place {
    fn of(query: &ListQuery) -> Place {
        let search: String = query.q.chars().filter(|c| !c.is_control()).take(MAX_SEARCH).collect();
        Place {
            search: search.trim().to_owned(),
            after: query.after.parse().ok(),
            invited_before: query.invited_before.parse().ok(),
        }
    }

    fn address(&self) -> String {
        let pairs = [
            ("q", Some(self.search.clone()).filter(|text| !text.is_empty())),
            ("after", self.after.map(|id| id.to_string())),
            ("invited_before", self.invited_before.map(|id| id.to_string())),
        ];
        let pairs: Vec<_> = pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect();
        match serde_urlencoded::to_string(pairs) {
            Ok(query) if !query.is_empty() => format!("{PATH}?{query}"),
            _ => PATH.to_owned(),
        }
    }

    fn members(&self, rows: &Rows<MemberRow>, all: i64) -> Pager {
        let at = |after| Place { after, ..self.clone() }.address();
        let total = counted(all, "member");
        let shown = rows.rows.len();
        Pager {
            older_href: rows.rows.last().filter(|_| rows.more).map(|last| at(Some(last.person))),
            newest_href: self.after.map(|_| at(None)),
            note: match self.search.is_empty() {
                true => format!("{shown} of {total}"),
                false => format!("{shown} of those of {total} that match"),
            },
            by_name: true,
        }
    }

    fn invitations(&self, rows: &Rows<Invitation>, all: i64) -> Pager {
        let at = |invited_before| Place { invited_before, ..self.clone() }.address();
        Pager {
            older_href: rows.rows.last().filter(|_| rows.more).map(|last| at(Some(last.id))),
            newest_href: self.invited_before.map(|_| at(None)),
            note: format!("{} of {}", rows.rows.len(), counted(all, "open invitation")),
            ..Pager::default()
        }
    }
}

/// What the form of an invitation held.
pub(super) struct Asked {
    pub email: Field,
    pub role: String,
    pub lasts: String,
}

impl Default for Asked {
    fn default() -> Asked {
        Asked { email: Field::default(), role: Role::Member.as_str().to_owned(), lasts: "7".to_owned() }
    }
}

/// The beginning of both lists, and a form that was filled in before.
pub(super) async fn first_page(app: &App, manager: &Manager, asked: Asked) -> Result<views::Members, PageError> {
    let view = view(app, manager, &Place::default(), asked).await?;
    view.ok_or(PageError::NotFound)
}

/// `None` when the lists do not reach so far any more.
async fn view(app: &App, manager: &Manager, place: &Place, asked: Asked) -> Result<Option<views::Members>, PageError> {
    let org = manager.org_id();
    let mut conn = manager.tenant(app).await?;
    let members = orgs::member_page(&mut conn, org, &place.search, place.after, fetch_limit(MEMBERS)).await?;
    if members.is_empty() && place.after.is_some() {
        return Ok(None);
    }
    let members = Rows::of(members, MEMBERS);
    let most = fetch_limit(INVITATIONS);
    let invitations = Rows::of(orgs::open_invitations(&mut conn, org, place.invited_before, most).await?, INVITATIONS);
    let (all, open) = (orgs::count_members(&mut conn, org).await?, orgs::count_invitations(&mut conn, org).await?);
    Ok(Some(views::Members {
        shell: manager.shell(
            "members",
            "Members",
            "Who shares this balance, what they may do, and what they may spend.",
        ),
        search: place.search.clone(),
        pager: place.members(&members, all),
        members: member_views(manager, &mut conn, org, &members.rows).await?,
        invitations_pager: place.invitations(&invitations, open),
        invitations: invitations.rows.iter().map(|one| invitation_view(app, manager, one)).collect(),
        email: asked.email,
        role_choices: [Role::Member, Role::Billing, Role::Admin]
            .map(|role| Choice::new(role.as_str(), role.label(), role.note(), role.as_str() == asked.role))
            .to_vec(),
        lasts_choices: Lasts::ALL
            .map(|lasts| {
                let days = lasts.days().to_string();
                Choice::new(&days, lasts.label(), "", days == asked.lasts)
            })
            .to_vec(),
        roles: roles(),
    }))
}

async fn member_views(
    manager: &Manager,
    conn: &mut sqlx::PgConnection,
    org: OrgId,
    members: &[MemberRow],
) -> Result<Vec<views::MemberRow>, PageError> {
    let meters: Vec<MeterId> = members.iter().map(|member| member.meter).collect();
    let meters = ledger::meter_states(conn, org, &meters).await?;
    let meters: HashMap<MeterId, MeterState> = meters.into_iter().map(|meter| (meter.id, meter)).collect();
    let counts = keys::counts(conn, org).await?;
    let viewer = manager.person().viewer();
    let row = |member: &MemberRow| {
        let meter = meters.get(&member.meter);
        views::MemberRow {
            name: member.name.clone(),
            email: member.email.clone(),
            href: href(member.person),
            you: member.person == manager.person().id,
            role: member.role().label().to_owned(),
            joined: day(member.joined_at, viewer),
            meter: meter.and_then(|meter| shown::bar(&member.name, meter, viewer.locale)),
            used: amount(meter.map_or(Usd::ZERO, |meter| meter.spent.total)),
            keys: thousands(&counts.get(&member.person).copied().unwrap_or(0).to_string()),
        }
    };
    Ok(members.iter().map(row).collect())
}

fn invitation_view(app: &App, manager: &Manager, one: &Invitation) -> views::InvitationRow {
    let (now, viewer) = (app.clock.now(), manager.person().viewer());
    views::InvitationRow {
        id: one.id.to_string(),
        email: one.email.clone(),
        role: one.role().label().to_owned(),
        by: one.inviter.clone().unwrap_or_else(|| "somebody".to_owned()),
        sent: when(one.sent_at, now, viewer),
        expires: when(one.expires_at, now, viewer),
        may_resend: one.may_resend(now),
    }
}

/// `GET /settings/members`
///
/// # Errors
/// `NotFound` in a personal organization.
pub async fn index(
    app: web::Data<App>,
    manager: Manager,
    query: web::Query<ListQuery>,
) -> Result<HttpResponse, PageError> {
    of_team(&manager)?;
    let place = Place::of(&query);
    match view(&app, &manager, &place, Asked::default()).await? {
        Some(view) => html(&view),
        // Whom the page began after is no member any more.
        None => Ok(see_other(&Place { after: None, ..place }.address())),
    }
}
