//! One call, as the books see it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};

use super::{page_with, read_id};
use crate::activity::{self, BillLine, Detail};
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};
use crate::base::money::thousands;
use crate::console::extract::Staff;
use crate::orgs;
use crate::web::present::{percent, when};
use crate::web::views::blocks::{Block, Cell, Column, Facts, Table};
use crate::web::{App, PageError};

/// `GET /admin/organizations/{org}/calls/{call}`: what a call cost and why; never what it said.
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn show(
    app: web::Data<App>,
    staff: Staff,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, PageError> {
    let (org, call) = path.into_inner();
    let (org, call): (OrgId, CallId) = (read_id(&org)?, read_id(&call)?);
    let mut conn = app.db.acquire().await?;
    let detail = activity::detail(&mut conn, org, call).await?.ok_or(PageError::NotFound)?;
    let name = orgs::find_org(&mut conn, org).await?.unwrap_or_default();
    let now = app.clock.now();
    let facts = facts(&detail, &name, org, now, &staff);
    let mut blocks = vec![Block::Facts(Facts::of("facts", "", facts))];
    let lines = detail.bill();
    let title = detail.price.as_ref().map_or_else(
        || "What it cost".to_owned(),
        |price| format!("By price version {} of {}", price.version, price.since.format("%-d %b %Y")),
    );
    blocks.push(Block::Table(Table {
        id: "price",
        title,
        note: "The lines add up to what the organization was charged, to the last digit.".into(),
        columns: vec![Column::of("What"), Column::right("Quantity"), Column::right("Each"), Column::right("Amount")],
        rows: lines.iter().map(row).collect(),
        foot: vec![
            Cell::text("Charged"),
            Cell::text(""),
            Cell::text(""),
            Cell::text(lines.iter().map(BillLine::amount).sum::<Usd>().display_exact()),
        ],
        empty: "It cost nothing".into(),
        ..Table::default()
    }));
    let title = if detail.model.is_empty() { &detail.model_asked } else { &detail.model };
    let back = format!("/admin/organizations/{org}");
    let shell =
        staff.shell("journal", &format!("Call to {title}"), "What it cost and why. What was said is not shown here.");
    page_with(shell, Some((&back, &name)), Vec::new(), blocks)
}

fn row(line: &BillLine) -> Vec<Cell> {
    let (what, quantity, each) = match line {
        BillLine::Priced(line) => (
            line.label.to_owned(),
            thousands(&line.quantity.to_string()),
            Usd::new(line.unit_price.amount()).display_exact(),
        ),
        BillLine::Other(_) => ("Images and other parts".to_owned(), String::new(), String::new()),
        BillLine::OwnAccount(_) => {
            ("Billed by the provider to the organization’s own account".to_owned(), String::new(), String::new())
        }
        BillLine::OwnFee { above, free, rate, .. } => (
            if free.is_positive() {
                format!("Fee on what is above the free allowance, which covered {}", free.display_exact())
            } else {
                "Fee for calls on own accounts".to_owned()
            },
            above.display_exact(),
            percent(*rate),
        ),
        BillLine::Discount(_) => ("Discount for storing inputs and outputs".to_owned(), String::new(), String::new()),
        BillLine::Borne(_) => ("Borne by the house".to_owned(), String::new(), String::new()),
    };
    vec![Cell::text(what), Cell::text(quantity), Cell::text(each), Cell::text(line.amount().display_exact())]
}

fn facts(call: &Detail, org: &str, id: OrgId, now: DateTime<Utc>, staff: &Staff) -> Vec<(&'static str, Cell)> {
    let mut facts = vec![
        ("Organization", Cell::link(org, format!("/admin/organizations/{id}"))),
        ("Time", Cell::when(when(call.created_at, now, staff.viewer()))),
        ("State", Cell::text(call.status.as_str())),
        ("Cost", Cell::text(call.cost.display_exact())),
        ("Borne by the house", Cell::text(call.overrun.display_exact())),
        ("Held for it", Cell::text(call.hold.display_exact())),
        ("Provider", Cell::text(call.provider.as_str()).under(call.upstream_model.clone())),
        ("Tokens in and out", Cell::text(format!("{} and {}", call.prompt_tokens, call.completion_tokens))),
        ("Counted by", Cell::text(call.counted_by.as_str())),
        ("Key", Cell::mono(call.key.to_string())),
    ];
    if call.extra.is_byok {
        facts.push(("Key at the provider", Cell::text("The organization’s own")));
    }
    if let Some(transfer) = call.transfer {
        facts.push(("Transfer", Cell::mono(transfer.to_string()).to(format!("/admin/books/transfers/{transfer}"))));
    }
    facts.push(("Id", Cell::mono(call.call.to_string())));
    facts
}
