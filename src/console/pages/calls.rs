//! One call, as the books see it.

use actix_web::{HttpResponse, web};
use chrono::{DateTime, Utc};

use super::{page_with, read_id};
use crate::activity::{self, Detail};
use crate::base::Usd;
use crate::base::ids::{CallId, OrgId};
use crate::console::extract::Staff;
use crate::orgs;
use crate::web::present::when;
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
    if let Some(price) = &detail.price {
        let rows = price.lines.iter().map(|line| match line {
            activity::PriceLine::Priced(line) => vec![
                Cell::text(line.label),
                Cell::text(line.quantity.to_string()),
                Cell::text(Usd::new(line.unit_price.amount()).display_exact()),
                Cell::text(line.amount.display_exact()),
            ],
            activity::PriceLine::Other(rest) => {
                vec![
                    Cell::text("Images and other parts"),
                    Cell::text(""),
                    Cell::text(""),
                    Cell::text(rest.display_exact()),
                ]
            }
        });
        let sum = detail.cost + detail.overrun;
        blocks.push(Block::Table(Table {
            id: "price",
            title: format!("By price version {}", price.version),
            columns: vec![
                Column::of("What"),
                Column::right("Quantity"),
                Column::right("Each"),
                Column::right("Amount"),
            ],
            rows: rows.collect(),
            foot: vec![Cell::text("Sum"), Cell::text(""), Cell::text(""), Cell::text(sum.display_exact())],
            empty: "It cost nothing".into(),
            ..Table::default()
        }));
    }
    let title = if detail.model.is_empty() { &detail.model_asked } else { &detail.model };
    let back = format!("/admin/organizations/{org}");
    let shell =
        staff.shell("journal", &format!("Call to {title}"), "What it cost and why. What was said is not shown here.");
    page_with(shell, Some((&back, &name)), Vec::new(), blocks)
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
    if let Some(transfer) = call.transfer {
        facts.push(("Transfer", Cell::mono(transfer.to_string()).to(format!("/admin/books/transfers/{transfer}"))));
    }
    facts.push(("Id", Cell::mono(call.call.to_string())));
    facts
}
