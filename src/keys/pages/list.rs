//! The list of keys.

use std::collections::HashMap;

use actix_web::{HttpResponse, web};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{badge_within, page_of, spent};
use crate::base::Viewer;
use crate::base::ids::MeterId;
use crate::base::money::thousands;
use crate::base::paging::{Rows, fetch_limit};
use crate::keys::key::{Key, KeyState};
use crate::keys::listing::{IDLE_DAYS, Listing, Order, Which};
use crate::keys::shown::{bar, count_limits};
use crate::keys::store;
use crate::ledger::{self, MeterState};
use crate::orgs::{KeyUser, Org, Permission};
use crate::web::present::{amount, day, when};
use crate::web::views::keys as views;
use crate::web::views::{Choice, Pager};
use crate::web::{App, PageError, html};

const ROWS: u16 = 50;
/// Further keys are not counted for the list: it says "more than".
const MAX_COUNTED: i64 = 10_000;

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
pub struct IndexQuery {
    q: String,
    show: String,
    sort: String,
    after: String,
}

/// `GET /keys`
///
/// # Errors
/// Database errors only.
pub async fn index(
    app: web::Data<App>,
    member: KeyUser,
    query: web::Query<IndexQuery>,
) -> Result<HttpResponse, PageError> {
    let listing = Listing::read(member.keys_of(), &query.q, &query.show, &query.sort, &query.after);
    let (now, viewer, org) = (app.clock.now(), member.person().viewer(), member.org_id());
    let mut conn = member.tenant(&app).await?;
    let keys = Rows::of(store::list(&mut conn, org, &listing, fetch_limit(ROWS)).await?, ROWS);
    let ids: Vec<MeterId> = keys.rows.iter().map(Key::meter).collect();
    let meters = ledger::meter_states(&mut conn, org, &ids).await?;
    let meters: HashMap<MeterId, MeterState> = meters.into_iter().map(|meter| (meter.id, meter)).collect();
    let count = store::count_up_to(&mut conn, org, member.keys_of(), MAX_COUNTED + 1).await?;
    html(&views::Index {
        shell: member.shell(
            "keys",
            "Keys",
            "What programs show to spend your credits. Each key stops at its own limits.",
        ),
        pager: pager(&keys, &listing, count),
        keys: keys.rows.iter().map(|key| row(&member.org, key, meters.get(&key.meter()), now, viewer)).collect(),
        any_keys: count > 0,
        search: listing.text.clone(),
        shows: Which::ALL.map(|one| Choice::new(one.word(), one.label(), "", one == listing.which)).to_vec(),
        sorts: Order::ALL.map(|one| Choice::new(one.word(), one.label(), "", one == listing.order)).to_vec(),
        filtered: listing.is_filtered(),
        may_stop_all: member.may(Permission::ManageAllKeys) && member.org.keys_stopped_at.is_none(),
    })
}

fn pager(keys: &Rows<Key>, listing: &Listing, count: i64) -> Pager {
    let total = match count {
        1 => "1 key".to_owned(),
        count if count > MAX_COUNTED => format!("more than {} keys", thousands(&MAX_COUNTED.to_string())),
        count => format!("{} keys", thousands(&count.to_string())),
    };
    Pager {
        older_href: keys.rows.last().filter(|_| keys.more).map(|last| listing.address(Some(last.id))),
        newest_href: listing.after.map(|_| listing.address(None)),
        note: if listing.is_filtered() { format!("Those of {total} that match") } else { total },
        by_name: listing.order != Order::Newest,
    }
}

fn row(org: &Org, key: &Key, meter: Option<&MeterState>, now: DateTime<Utc>, viewer: Viewer) -> views::KeyRow {
    let last_used = meter.and_then(|meter| meter.last_used_at);
    let idle = now - last_used.unwrap_or(key.created_at) > TimeDelta::days(IDLE_DAYS.into());
    views::KeyRow {
        id: key.id.to_string(),
        name: key.name.clone(),
        masked: key.label.clone(),
        href: page_of(key.id),
        activity_href: format!("/activity?key={}", key.id),
        meter: meter.and_then(|meter| bar(&key.name, meter, viewer.locale)),
        more_limits: more_limits(meter.map_or(0, |meter| count_limits(&meter.limits))),
        used: amount(spent(meter)),
        own: meter.map(|meter| meter.byok.total).filter(|own| !own.is_zero()).map(amount),
        last_used: last_used.map(|at| when(at, now, viewer)),
        idle,
        maker: key.maker.clone().unwrap_or_else(|| "another program".to_owned()),
        expires: key.expires_at.map(|at| day(at, viewer)),
        expires_time: key.expires_at.map(|at| viewer.time_in_zone(at)).unwrap_or_default(),
        state: badge_within(org, key, meter, now),
        enabled: key.disabled_at.is_none(),
        unclaimed: key.digest.is_none() || key.state(now) == KeyState::Unclaimed,
    }
}

fn more_limits(limits: usize) -> String {
    match limits {
        0 | 1 => String::new(),
        2 => "and another limit".to_owned(),
        more => format!("and {} more limits", more - 1),
    }
}
