//! What running calls hold.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::books::READ;
use super::{ROWS, address, page_with, pager, read_some};
use crate::base::ids::{CallId, OrgId};
use crate::base::paging::{Rows, fetch_limit};
use crate::console::extract::Staff;
use crate::console::margin::whole;
use crate::console::store;
use crate::ledger;
use crate::web::present::{amount, when};
use crate::web::views::Badge;
use crate::web::views::blocks::{Block, Cell, Column, Figure, Figures, Table};
use crate::web::{App, PageError};

pub const HERE: &str = "/admin/holds";
/// Those that should have been swept.
const OVERDUE: &str = "overdue";

#[derive(Default, Deserialize)]
pub struct HoldQuery {
    #[serde(default)]
    org: String,
    /// `overdue`, or all.
    #[serde(default)]
    state: String,
    #[serde(default)]
    before: String,
}

/// `GET /admin/holds?org=&state=`
///
/// # Errors
/// `Invalid` for an organization or a place that cannot be read; database errors.
pub async fn index(app: web::Data<App>, staff: Staff, query: web::Query<HoldQuery>) -> Result<HttpResponse, PageError> {
    let org: Option<OrgId> = read_some(query.org.trim(), "org")?;
    let before: Option<CallId> = read_some(&query.before, "before")?;
    let overdue = query.state == OVERDUE;
    let mut conn = app.db.begin_with(READ).await?;
    let (count, held, byok) = store::held(&mut conn, org, overdue).await?;
    let rows = Rows::of(store::holds(&mut conn, org, overdue, before, fetch_limit(ROWS)).await?, ROWS);
    let state = if overdue { OVERDUE } else { "" };
    let here = |before: &str| address(HERE, &[("org", query.org.trim()), ("state", state), ("before", before)]);
    let now = app.clock.now();
    let figures = Figures {
        id: "held",
        figures: vec![
            Figure::count(if overdue { "Overdue" } else { "Running calls" }, whole(count), ""),
            Figure::amount("Held of credits", amount(held), ""),
            Figure::amount("Held for own accounts", amount(byok), "").note("nobody’s credits, only limits count it"),
        ],
        note: "A hold ends when its call is settled. One whose process died is released after its time.".into(),
        ..Figures::default()
    };
    let table = Table {
        id: "holds",
        title: if overdue { "Holds that should have been released" } else { "Open holds" }.into(),
        columns: vec![
            Column::of("Since"),
            Column::of("Organization"),
            Column::right("Held"),
            Column::right("For own accounts"),
            Column::of("Ends by"),
            Column::far("Call"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|one| {
                let ends = if one.expires_at < now - ledger::OVERDUE {
                    Cell::badge(Badge::new("bad", "clock", "Overdue"))
                } else {
                    Cell::when(when(one.expires_at, now, staff.viewer()))
                };
                vec![
                    Cell::when(when(one.created_at, now, staff.viewer())),
                    Cell::link(one.name.as_str(), format!("/admin/organizations/{}", one.org)),
                    Cell::text(one.amount.display_exact()),
                    Cell::text(one.byok.display_exact()),
                    ends,
                    Cell::mono(one.call.to_string()),
                ]
            })
            .collect(),
        foot: if before.is_none() && !rows.more && count > 0 {
            let blank = || Cell::text("");
            let sum = |of: fn(&store::HoldRow) -> crate::base::Usd| {
                Cell::text(rows.rows.iter().map(of).sum::<crate::base::Usd>().display_exact())
            };
            vec![Cell::text("Sum"), blank(), sum(|one| one.amount), sum(|one| one.byok), blank(), blank()]
        } else {
            Vec::new()
        },
        empty: if overdue { "None is overdue" } else { "No call runs" }.into(),
        empty_note: "Each call holds what it may cost at most, until it is settled.".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.call.to_string()))),
        ..Table::default()
    };
    let shell = staff.shell("overview", "Held by running calls", "What is set aside until each call is settled.");
    page_with(shell, Some(("/admin", "Overview")), Vec::new(), vec![Block::Figures(figures), Block::Table(table)])
}
