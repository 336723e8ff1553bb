//! `/admin`: how much came in, how much went out, and what somebody has to look at.

use actix_web::{HttpResponse, web};
use chrono::{Days, NaiveDate};

use super::alerts::{Health, Seen, alerts};
use super::{address, find, holds, inbox, page};
use crate::base::Usd;
use crate::base::money::thousands;
use crate::books;
use crate::catalog::Shelf;
use crate::console::extract::Staff;
use crate::console::{margin, store};
use crate::ledger::{Code, Movement};
use crate::web::present::{amount, counted};
use crate::web::views::blocks::{Block, Cell, Column, Figure, Figures, Table};
use crate::web::{App, PageError};

/// What moved in a span, as the house sees it.
#[derive(Default)]
struct Money {
    came_in: Usd,
    went_out: Usd,
    used: Usd,
    own: Usd,
    fees: Usd,
    given: Usd,
    lost: Usd,
}

impl Money {
    fn of(movements: &[Movement]) -> Money {
        let mut money = Money::default();
        for one in movements {
            let amount = one.amount;
            if one.debit.starts_with("processor:") {
                money.came_in += amount;
            }
            if one.credit.starts_with("processor:") {
                money.went_out += amount;
            }
            let net = |name: &str| {
                let credit = if one.credit == name { amount } else { Usd::ZERO };
                if one.debit == name { credit - amount } else { credit }
            };
            money.used += net("usage_revenue");
            money.own += net("byok_fee_revenue");
            money.fees += net("fee_revenue");
            money.given += -net("promotions");
            money.lost += -net("operator_loss");
        }
        money
    }
}

/// `GET /admin`
///
/// # Errors
/// Database errors only.
pub async fn show(app: web::Data<App>, shelf: web::Data<Shelf>, staff: Staff) -> Result<HttpResponse, PageError> {
    let now = app.clock.now();
    let today = now.date_naive();
    let mut conn = app.db.begin_with(super::books::READ).await?;
    let health = Health::read(&mut conn).await?;
    let mut rows = Vec::new();
    let mut overrun = Usd::ZERO;
    for (label, days) in [("Today", 0), ("Last 7 days", 6), ("Last 30 days", 29)] {
        let from = today.checked_sub_days(Days::new(days)).unwrap_or(today);
        let moved = books::moved_since(&mut conn, from, now).await?;
        if days == 0 {
            overrun = moved.iter().filter(|one| one.code == Code::Overrun.as_str()).map(|one| one.amount).sum();
        }
        let money = Money::of(&moved);
        rows.push(money_row(label, from, &money));
    }
    let mut blocks = alerts(&mut conn, &shelf, &staff, &Seen { health: &health, overrun, now }).await?;
    blocks.push(Block::Filters(find::field("")));
    let columns = ["Came in", "Went back", "Calls", "Calls on own keys", "Top-up fees", "Given away", "Losses"]
        .map(Column::right);
    blocks.push(Block::Table(Table {
        id: "money",
        title: "Money".into(),
        note: "Days of UTC. Every figure is the sum of the rows that it leads to.".into(),
        columns: std::iter::once(Column::of("Days")).chain(columns).collect(),
        rows,
        ..Table::default()
    }));
    let month = today.checked_sub_days(Days::new(29)).unwrap_or(today);
    let earned = margin::total(&mut conn, books::start_of(month), now).await?;
    let totals = store::org_totals(&mut conn).await?;
    blocks.push(Block::Figures(Figures {
        id: "owed",
        title: "What we owe and earn".into(),
        note: String::new(),
        figures: vec![
            Figure::amount("Prepaid credits", amount(totals.posted), "/admin/books").note(match totals.frozen {
                0 => counted(totals.orgs, "organization"),
                frozen => format!("{}, {frozen} frozen", counted(totals.orgs, "organization")),
            }),
            Figure::amount("Held by running calls", amount(totals.held), holds::HERE)
                .note(counted(health.holds, "call")),
            Figure::amount("Below zero", amount(totals.below_zero), "/admin/organizations?state=below_zero"),
            match earned.margin() {
                Some(margin) => {
                    Figure::amount("Margin, 30 days", amount(margin), "/admin/catalog").note(earned.coverage())
                }
                None => Figure::count("Margin, 30 days", "No data", "/admin/catalog").note("No price list yet"),
            },
        ],
    }));
    let whole = |number: i64| thousands(&number.to_string());
    blocks.push(Block::Figures(Figures {
        id: "work",
        title: "Work".into(),
        note: String::new(),
        figures: vec![
            Figure::count(
                "Jobs waiting",
                whole(health.jobs.jobs),
                if staff.is_operator() { "/admin/jobs" } else { "" },
            ),
            Figure::count(
                "Jobs given up",
                whole(health.jobs.dead),
                if staff.is_operator() { "/admin/jobs?state=dead" } else { "" },
            ),
            Figure::count(
                "Mails given up",
                whole(health.mails_dead),
                if staff.is_operator() { "/admin/mails?state=dead" } else { "" },
            ),
            Figure::count(
                "Mails waiting for long",
                whole(health.mails_late),
                if staff.is_operator() { "/admin/mails?state=waiting" } else { "" },
            ),
            Figure::count("Messages not applied", whole(health.events), inbox::HERE),
            Figure::count("Open disputes", whole(health.disputes), "/admin/payments?state=disputed"),
            Figure::count("Refunds on their way", whole(health.refunds), "/admin/payments"),
        ],
    }));
    page(staff.shell("overview", "Overview", "What came in, what went out, and what needs somebody."), blocks)
}

fn money_row(label: &str, from: NaiveDate, money: &Money) -> Vec<Cell> {
    let day = from.to_string();
    let to = |account: &str| address("/admin/books/journal", &[("account", account), ("from", &day)]);
    let cell = |sum: Usd, account: &str| Cell::amount(amount(sum)).to(to(account));
    vec![
        Cell::link(label, address("/admin/books/journal", &[("from", &day)])),
        cell(money.came_in, "processors"),
        cell(money.went_out, "processors"),
        cell(money.used, "usage_revenue"),
        cell(money.own, "byok_fee_revenue"),
        cell(money.fees, "fee_revenue"),
        cell(money.given, "promotions"),
        cell(money.lost, "operator_loss"),
    ]
}
