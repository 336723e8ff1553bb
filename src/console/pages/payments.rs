//! Payments of everybody, with what became of each, and refunds.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use sqlx::PgConnection;

use super::{ROWS, address, choices, done, form, page, page_with, pager, read_id, read_some, reason_field, wrong};
use crate::audit::{Action, Chain, Entry};
use crate::base::Usd;
use crate::base::ids::{OrgId, RefundId, TopUpId};
use crate::base::paging::{Rows, fetch_limit};
use crate::console::act;
use crate::console::extract::{Acting, Staff};
use crate::ledger;
use crate::orgs;
use crate::topups::processors::{Processors, Returns};
use crate::topups::{self, By, RefundError, RefundState, State, TopUp, reconcile};
use crate::web::present::{amount, when};
use crate::web::views::Badge;
use crate::web::views::blocks::{Block, Cell, Column, Facts, Filters, Form, Input, Table};
use crate::web::{App, PageError, Protected};

const HERE: &str = "/admin/payments";
const STATES: [(&str, &str); 6] = [
    ("pending", "Pending"),
    ("paid", "Paid"),
    ("failed", "Failed"),
    ("expired", "Expired"),
    ("refunded", "Refunded"),
    ("disputed", "Disputed"),
];

pub fn badge(state: State) -> Badge {
    match state {
        State::Pending => Badge::new("warn", "clock", "Pending"),
        State::Paid => Badge::new("good", "circle-check", "Paid"),
        State::Failed => Badge::new("bad", "circle-x", "Failed"),
        State::Expired => Badge::new("", "clock", "Expired"),
        State::Refunded => Badge::new("", "receipt", "Refunded"),
        State::Disputed => Badge::new("bad", "triangle-alert", "Disputed"),
    }
}

#[derive(Default, Deserialize)]
pub struct PaymentQuery {
    #[serde(default)]
    q: String,
    #[serde(default)]
    org: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    processor: String,
    #[serde(default)]
    before: String,
}

/// `GET /admin/payments`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    staff: Staff,
    query: web::Query<PaymentQuery>,
) -> Result<HttpResponse, PageError> {
    if let Ok(id) = query.q.trim().parse::<TopUpId>() {
        return Ok(crate::web::see_other(&format!("{HERE}/{id}")));
    }
    if !query.state.is_empty() && State::parse(&query.state).is_none() {
        return Err(wrong("state"));
    }
    let org: Option<OrgId> = read_some(query.org.trim(), "org")?;
    let before: Option<TopUpId> = read_some(&query.before, "before")?;
    let some = |text: &'_ str| (!text.is_empty()).then(|| text.to_owned());
    let (state, processor) = (some(&query.state), some(&query.processor));
    let mut conn = app.db.acquire().await?;
    let found =
        topups::page_anywhere(&mut conn, org, (state.as_deref(), processor.as_deref()), before, fetch_limit(ROWS))
            .await?;
    let rows = Rows::of(found, ROWS);
    let owners: Vec<OrgId> = rows.rows.iter().map(|topup| topup.org).collect();
    let names = orgs::org_names(&mut conn, &owners).await?;
    let here = |before: &str| {
        let parts =
            [("org", query.org.trim()), ("state", &query.state), ("processor", &query.processor), ("before", before)];
        address(HERE, &parts)
    };
    let now = app.clock.now();
    let table = Table {
        id: "payments",
        columns: vec![
            Column::of("Time"),
            Column::of("Organization"),
            Column::right("Credits"),
            Column::right("Fee"),
            Column::right("Went back"),
            Column::of("Paid with"),
            Column::of("State"),
        ],
        rows: rows
            .rows
            .iter()
            .map(|topup| {
                vec![
                    Cell::when(when(topup.created_at, now, staff.viewer())).to(format!("{HERE}/{}", topup.id)),
                    Cell::link(
                        names.get(&topup.org).cloned().unwrap_or_default(),
                        format!("/admin/organizations/{}", topup.org),
                    ),
                    Cell::amount(amount(topup.credits)),
                    Cell::amount(amount(topup.fee)),
                    Cell::amount(amount(topup.refunded + topup.disputed)),
                    Cell::text(topups::method_name(&topup.method)).under(topup.processor.clone()),
                    Cell::badge(badge(topup.state())),
                ]
            })
            .collect(),
        empty: "No payment fits".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.id.to_string()))),
        ..Table::default()
    };
    let known: Vec<(String, String)> =
        processors.all().map(|one| (one.name().to_owned(), one.name().to_owned())).collect();
    let known: Vec<(&str, &str)> = known.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let filters = Filters {
        action: HERE.into(),
        fields: vec![
            Input::of("text", "q", "Payment id"),
            Input::of("text", "org", "Organization id").value(query.org.trim()),
            Input::of("select", "state", "State").choices(choices("Any", &STATES, &query.state)),
            Input::of("select", "processor", "Processor").choices(choices("Any", &known, &query.processor)),
        ],
        is_on: org.is_some() || state.is_some() || processor.is_some(),
        ..Filters::default()
    };
    page(
        staff.shell("payments", "Payments", "Purchases of credits, refunds and disputes."),
        vec![Block::Filters(filters), Block::Table(table)],
    )
}

/// `GET /admin/payments/{topup}`
///
/// # Errors
/// `NotFound` for an unknown one; database errors.
pub async fn show(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    staff: Staff,
    id: web::Path<String>,
) -> Result<HttpResponse, PageError> {
    let id: TopUpId = read_id(&id)?;
    let mut conn = app.db.acquire().await?;
    let topup = topups::find_anywhere(&mut conn, id).await?.ok_or(PageError::NotFound)?;
    let name = orgs::find_org(&mut conn, topup.org).await?.unwrap_or_default();
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let mut facts = vec![
        ("Organization", Cell::link(name, format!("/admin/organizations/{}", topup.org))),
        ("State", Cell::badge(badge(topup.state()))),
        ("Credits", Cell::amount(amount(topup.credits))),
        ("Fee", Cell::amount(amount(topup.fee))),
        ("Total", Cell::amount(amount(topup.total))),
        ("Paid with", Cell::text(topups::method_name(&topup.method)).under(topup.processor.clone())),
        ("Started", Cell::when(when(topup.created_at, now, viewer))),
    ];
    if let Some(at) = topup.paid_at {
        // Before, there is nothing of which something could be left.
        facts.extend([
            ("Refunded", Cell::amount(amount(topup.refunded))),
            ("Disputed", Cell::amount(amount(topup.disputed))),
            ("Left of it", Cell::amount(amount(topup.kept()))),
        ]);
        facts.push(("Paid", Cell::when(when(at, now, viewer))));
    }
    if let Some(fee) = topup.processor_fee {
        facts.push(("Kept by the processor", Cell::amount(amount(fee)).under("beside the books")));
    }
    if let Some(number) = topup.receipt_number {
        facts.push(("Receipt", Cell::text(topups::billing::receipt_number(number))));
    }
    for (label, value) in [("Checkout", &topup.processor_ref), ("Payment there", &topup.payment_ref)] {
        if let Some(value) = value {
            facts.push((label, Cell::mono(value.as_str())));
        }
    }
    if !topup.failure.is_empty() {
        facts.push(("Failure", Cell::text(topup.failure.as_str())));
    }
    if !topup.oddity().is_empty() {
        facts.push(("Note", Cell::text(topup.oddity())));
    }
    facts.push(("Id", Cell::mono(id.to_string())));
    let mut blocks = vec![Block::Facts(Facts::of("facts", "", facts))];
    blocks.extend(history(&mut conn, &app, &staff, &topup).await?.into_iter().map(Block::Table));
    if staff.is_operator()
        && topup.state().is_credited()
        && topup.kept().is_positive()
        && let Some(refund) = refund_form(&staff, &processors, &topup)
    {
        blocks.push(Block::Form(refund));
    }
    let shell = staff.shell(
        "payments",
        &format!("Payment of {}", topup.total.display()),
        "With its transfers, refunds, disputes and messages.",
    );
    page_with(shell, Some((HERE, "Payments")), Vec::new(), blocks)
}

fn refund_form(staff: &Staff, processors: &Processors, topup: &TopUp) -> Option<Form> {
    let returns = processors.get(&topup.processor).ok()?.returns();
    let mut refund = form(staff, "refund", format!("{HERE}/{}/refund", topup.id), "Send money back", "Refund");
    refund.danger = true;
    refund.hidden.push(("refund", RefundId::fresh().to_string()));
    refund.fields = vec![
        Input::of("dollars", "amount", "Amount")
            .value(topup.kept().exact())
            .required()
            .hint("Credits are taken first, then the fee. The balance may go below zero."),
        reason_field(),
    ];
    match returns {
        Returns::Asked | Returns::AskedByOperator if topup.more_of.is_none() => {}
        Returns::ByHand => {
            refund.note = "Farebox cannot send this back. Send it by hand, then write it down here.".into();
            let sent = Input::of("text", "sent", "Found by").required().hint("Such as the id of the transaction.");
            refund.fields.insert(1, sent);
            refund.button = "Write the refund down".into();
        }
        _ => return None,
    }
    Some(refund)
}

async fn history(conn: &mut PgConnection, app: &App, staff: &Staff, topup: &TopUp) -> Result<Vec<Table>, PageError> {
    let (now, viewer) = (app.clock.now(), staff.viewer());
    let references = reconcile::references(conn, topup).await?;
    let transfers = ledger::lines_of(conn, &references).await?;
    let transfers = Table {
        id: "transfers",
        title: "Transfers".into(),
        columns: vec![
            Column::of("Time"),
            Column::of("What"),
            Column::of("Debit"),
            Column::of("Credit"),
            Column::right("Amount"),
        ],
        rows: transfers
            .iter()
            .map(|line| {
                vec![
                    Cell::when(when(line.at, now, viewer)),
                    Cell::link(
                        crate::books::label(&line.code),
                        address("/admin/books/journal", &[("reference", &topup.id.to_string())]),
                    ),
                    Cell::text(line.debit.as_str()),
                    Cell::text(line.credit.as_str()),
                    Cell::amount(amount(line.amount)),
                ]
            })
            .collect(),
        empty: "Nothing was booked".into(),
        ..Table::default()
    };
    let refunds = topups::refunds(conn, topup.org, topup.id).await?;
    let refunds = Table {
        id: "refunds",
        title: "Refunds".into(),
        columns: vec![
            Column::of("Time"),
            Column::right("Amount"),
            Column::of("State"),
            Column::of("By"),
            Column::of("Note"),
        ],
        rows: refunds
            .iter()
            .map(|one| {
                vec![
                    Cell::when(when(one.created_at, now, viewer))
                        .to(address("/admin/books/journal", &[("reference", &one.id.to_string())])),
                    Cell::amount(amount(one.amount)),
                    Cell::text(one.state.as_str()),
                    Cell::text(one.origin.as_str()),
                    Cell::text(one.failure.as_str()),
                ]
            })
            .collect(),
        empty: "No refunds".into(),
        empty_note: "What goes back is listed here; the form below asks the processor for it.".into(),
        ..Table::default()
    };
    let disputes = topups::disputes(conn, topup.org, topup.id).await?;
    let disputes = Table {
        id: "disputes",
        title: "Disputes".into(),
        columns: vec![Column::of("Time"), Column::right("Amount"), Column::of("State"), Column::of("Reason")],
        rows: disputes
            .iter()
            .map(|one| {
                vec![
                    Cell::when(when(one.created_at, now, viewer))
                        .to(address("/admin/books/journal", &[("reference", &one.id.to_string())])),
                    Cell::amount(amount(one.amount)),
                    Cell::text(one.state.as_str()),
                    Cell::text(one.reason.as_str()),
                ]
            })
            .collect(),
        empty: "No disputes".into(),
        empty_note: "Where the payer’s bank takes a payment back, it is listed here.".into(),
        ..Table::default()
    };
    let events = topups::events(conn, topup).await?;
    let events = Table {
        id: "messages",
        title: "Messages of the processor".into(),
        columns: vec![Column::of("Time"), Column::of("Kind"), Column::of("Outcome"), Column::far("Id")],
        rows: events
            .iter()
            .map(|one| {
                let outcome = if one.applied_at.is_some() { one.outcome.as_str() } else { "not applied yet" };
                vec![
                    Cell::when(when(one.received_at, now, viewer)),
                    Cell::text(one.kind.as_str()),
                    Cell::text(outcome),
                    Cell::mono(one.id.as_str()),
                ]
            })
            .collect(),
        empty: "No messages".into(),
        empty_note: "The processor has told nothing yet. It is asked all the same, a few minutes after the purchase."
            .into(),
        ..Table::default()
    };
    Ok(vec![transfers, refunds, disputes, events])
}

#[derive(Deserialize)]
pub struct RefundForm {
    #[serde(default)]
    form: String,
    #[serde(default)]
    refund: String,
    #[serde(default)]
    amount: String,
    #[serde(default)]
    sent: String,
    #[serde(default)]
    reason: String,
}

/// `POST /admin/payments/{topup}/refund`
///
/// # Errors
/// `NotFound` for an unknown one; those of [`act::begin`]. What stands against it is told on the page.
pub async fn refund(
    app: web::Data<App>,
    processors: web::Data<Processors>,
    staff: Acting,
    id: web::Path<String>,
    Protected(form): Protected<RefundForm>,
) -> Result<HttpResponse, PageError> {
    let id: TopUpId = read_id(&id)?;
    let topup = topups::find_anywhere(&mut *app.db.acquire().await?, id).await?.ok_or(PageError::NotFound)?;
    let here = format!("{HERE}/{id}");
    let refund: RefundId = read_id(&form.refund)?;
    let sum = match Usd::parse(&form.amount) {
        Ok(sum) => sum,
        Err(error) => return Ok(done(&app, &here, false, &format!("The amount {error}. Nothing was refunded."))),
    };
    // Who asked and why is written down first. The money moves under the number of the refund, which moves it once, also
    // where this is sent again after it was cut off.
    if let Some(mut act) = act::begin(&app, &staff, &form.form, &form.reason, "refund").await? {
        let after = serde_json::json!({ "amount": sum.exact(), "refund": refund });
        let target = crate::audit::Target::new("topup", id, "");
        act.note(None, Action::RefundAsked, target, (serde_json::Value::Null, after)).await?;
        act.commit().await?;
    }
    let entry = Entry::new(
        Chain::Org(topup.org),
        crate::audit::Actor::Operator,
        Action::RefundAsked,
        &crate::base::Origin::here(),
    );
    if !form.sent.trim().is_empty() {
        let sent = topups::record_sent(&app.db, &processors, (topup.org, id), Some(sum), &form.sent, entry).await;
        return match sent {
            Ok(()) => Ok(done(&app, &here, true, "The refund is written down.")),
            Err(error) => Ok(done(&app, &here, false, &told(error)?)),
        };
    }
    let asked =
        topups::refund_once(&app.db, &processors, (topup.org, id, refund), Some(sum), By::Operator, entry).await;
    match asked {
        Ok(RefundState::Succeeded) => Ok(done(&app, &here, true, "Refunded.")),
        Ok(RefundState::Pending) => Ok(done(&app, &here, true, "The refund is on its way.")),
        Ok(RefundState::Failed) => Ok(done(&app, &here, false, "The refund failed, and the credits were put back.")),
        Err(error) => Ok(done(&app, &here, false, &told(error)?)),
    }
}

fn told(error: RefundError) -> Result<String, PageError> {
    match error {
        RefundError::Database(error) => Err(error.into()),
        RefundError::Internal(error) => Err(error.into()),
        RefundError::NotFound => Err(PageError::NotFound),
        told => Ok(told.to_string()),
    }
}
