//! Telling of money that went back or is contested, in the transaction that books it: a mail to those who handle credits,
//! and the event of webhooks. Each of it is told once.

use serde_json::Value;
use sqlx::PgConnection;

use super::billing::{Seller, receipt_number};
use super::mails::fact;
use super::payment::DisputeSeen;
use super::store::{self, RefundRow};
use super::topup::TopUp;
use crate::base::Usd;
use crate::base::ids::DisputeId;
use crate::hooks::{self, EventKind, Payload};
use crate::ledger;
use crate::mail::{About, Kind, Topic};
use crate::notices;
use crate::orgs;
use crate::web::views::emails::NoticeMail;

/// A dispute as it stands now.
#[derive(Clone, Copy, Debug)]
pub struct Contested<'a> {
    pub id: DisputeId,
    /// Under which its transfers stand: one that takes the money again has another, and is told of again.
    pub reference: &'a str,
    pub seen: &'a DisputeSeen,
    /// What was taken for it, of the credits and of the fee; both are zero for one that took nothing.
    pub credits: Usd,
    pub fee: Usd,
    /// It was taken when the dispute was opened, and told then.
    pub taken_before: bool,
}

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub enum News<'a> {
    Refunded(&'a RefundRow),
    /// Why, for people; empty where nobody said.
    RefundFailed(&'a RefundRow, &'a str),
    Opened(Contested<'a>),
    Won(Contested<'a>),
    Lost(Contested<'a>),
}

/// Tells of it what is booked already.
///
/// # Errors
/// Database errors, and mails that cannot be written.
pub async fn tell(conn: &mut PgConnection, topup: &TopUp, news: News<'_>) -> anyhow::Result<()> {
    let org = topup.org;
    let Some(name) = orgs::find_org(conn, org).await? else { return Ok(()) };
    // Read anew: this transaction may have written its receipt as well.
    let Some(topup) = store::find(conn, org, topup.id).await? else { return Ok(()) };
    let balance = ledger::credit_state(conn, org).await?.posted;
    let seller = store::seller(conn).await?.unwrap_or_default();
    let (event, kind, mail) = news.kinds();
    hooks::emit(conn, org, kind, &event, news.payload(&topup, balance)).await?;
    let usual = |role| notices::usual(Topic::Refunds, role);
    let readers = notices::readers(conn, org, Topic::Refunds, &[], &usual).await?;
    notices::write(conn, &event, mail, readers, &notice(&topup, &name, news, balance, &seller), About::org(topup.org))
        .await
}

impl News<'_> {
    /// Its name for ever, and its kinds.
    fn kinds(&self) -> (String, EventKind, Kind) {
        match self {
            News::Refunded(row) => {
                (format!("refund_succeeded:{}", row.id), EventKind::RefundSucceeded, Kind::RefundSucceeded)
            }
            News::RefundFailed(row, _) => {
                (format!("refund_failed:{}", row.id), EventKind::RefundFailed, Kind::RefundFailed)
            }
            News::Opened(dispute) => {
                (format!("dispute_opened:{}", dispute.reference), EventKind::DisputeOpened, Kind::DisputeOpened)
            }
            News::Won(dispute) => {
                (format!("dispute_won:{}", dispute.reference), EventKind::DisputeWon, Kind::DisputeWon)
            }
            News::Lost(dispute) => {
                (format!("dispute_lost:{}", dispute.reference), EventKind::DisputeLost, Kind::DisputeLost)
            }
        }
    }

    fn payload(&self, topup: &TopUp, balance: Usd) -> Payload {
        let receipt = topup.receipt_number.map_or(Value::Null, |number| receipt_number(number).into());
        let payload = Payload::new().with("topup", topup.id.to_string()).with("receipt", receipt);
        match self {
            News::Refunded(row) => of_refund(payload, row),
            News::RefundFailed(row, reason) => of_refund(payload, row).with("reason", *reason),
            News::Opened(dispute) | News::Won(dispute) | News::Lost(dispute) => payload
                .with("dispute", dispute.id.to_string())
                .with("amount", dispute.seen.amount.exact())
                .with("credits", dispute.credits.exact())
                .with("fee", dispute.fee.exact())
                .with("reason", dispute.seen.reason.clone()),
        }
        .with("balance", balance.exact())
    }
}

fn of_refund(payload: Payload, row: &RefundRow) -> Payload {
    payload
        .with("refund", row.id.to_string())
        .with("origin", row.origin.clone())
        .with("amount", row.amount.exact())
        .with("credits", row.credits.exact())
        .with("fee", row.fee.exact())
}

fn notice(topup: &TopUp, name: &str, news: News<'_>, balance: Usd, seller: &Seller) -> NoticeMail {
    let (subject, lines, facts) = match news {
        News::Refunded(row) => refunded(row, name),
        News::RefundFailed(row, reason) => refund_failed(row, name, reason),
        News::Opened(dispute) => opened(&dispute, name),
        News::Won(dispute) => won(&dispute, name),
        News::Lost(dispute) => lost(&dispute, name),
    };
    let number = topup.receipt_number.map_or_else(|| topup.id.to_string(), receipt_number);
    let empty = "No credits are left, so calls are refused until some come in.";
    NoticeMail {
        subject,
        lines: lines.into_iter().chain((!balance.is_positive()).then(|| empty.to_owned())).collect(),
        facts: std::iter::once(("Payment".to_owned(), number))
            .chain(std::iter::once(fact("Paid", topup.total)))
            .chain(facts)
            .chain(std::iter::once(fact("Credits now", balance)))
            .collect(),
        action: "See the payment".into(),
        link: seller.link_of(topup.org, &format!("/credits/topups/{}", topup.id)),
        footer: "Who gets this stands under Settings, Notifications.".into(),
        ..NoticeMail::default()
    }
}

/// Subject, sentences and facts of a mail.
type Said = (String, Vec<String>, Vec<(String, String)>);

fn refunded(row: &RefundRow, name: &str) -> Said {
    let amount = row.amount.display();
    let who = match row.origin.as_str() {
        "owner" => "A member returned unused credits.",
        "operator" => "Whoever runs this instance sent it back.",
        _ => "It was sent back at the payment processor.",
    };
    let lines = vec![
        format!("{amount} of a payment of {name} went back the way it was paid. {who}"),
        "It can take some days to arrive. There is nothing to do.".to_owned(),
    ];
    (
        format!("A refund of {amount} for {name}"),
        lines,
        vec![fact("Refund", row.amount), fact("Credits taken", row.credits)],
    )
}

fn refund_failed(row: &RefundRow, name: &str, reason: &str) -> Said {
    let amount = row.amount.display();
    let lines = vec![
        format!(
            "{amount} of a payment of {name} was to go back and did not arrive. The credits taken for it are back."
        ),
        "If it is still to go back, return it again on the page of the payment, or ask whoever runs this instance."
            .to_owned(),
    ];
    let mut facts = vec![fact("Refund", row.amount), fact("Credits put back", row.credits)];
    facts.extend((!reason.is_empty()).then(|| ("Reason".to_owned(), reason.to_owned())));
    (format!("A refund of {amount} for {name} failed"), lines, facts)
}

fn opened(dispute: &Contested<'_>, name: &str) -> Said {
    let lines = vec![
        format!(
            "The bank of whoever paid contests a payment of {name}. Until it decides, which can take months, the \
             credits of that payment are taken back."
        ),
        "There is nothing to do here. If nobody of yours meant to contest it, tell your bank that the payment was \
         right: it can take the dispute back."
            .to_owned(),
    ];
    let facts = of_dispute(dispute, "Credits taken");
    (format!("A payment of {name} is contested"), lines, facts)
}

fn won(dispute: &Contested<'_>, name: &str) -> Said {
    let credits = match dispute.taken_before {
        true => "The credits that were taken for it are back.",
        false => "No credits had been taken for it.",
    };
    let lines =
        vec![format!("The bank decided that a payment of {name} stands. {credits}"), "There is nothing to do.".into()];
    (format!("A contested payment of {name} stands"), lines, of_dispute(dispute, "Credits put back"))
}

fn lost(dispute: &Contested<'_>, name: &str) -> Said {
    let credits = match dispute.taken_before {
        true => "The credits that were taken for it stay taken.",
        false => "Its credits were taken back.",
    };
    let lines = vec![
        format!("The bank decided that a contested payment of {name} goes back to whoever paid it. {credits}"),
        "There is nothing to do here. Questions about the decision are for your bank.".to_owned(),
    ];
    (format!("A contested payment of {name} went back"), lines, of_dispute(dispute, "Credits taken"))
}

fn of_dispute(dispute: &Contested<'_>, credits: &str) -> Vec<(String, String)> {
    let mut facts = vec![fact("Contested", dispute.seen.amount), fact(credits, dispute.credits)];
    let reason = &dispute.seen.reason;
    facts.extend((!reason.is_empty()).then(|| ("Reason that the bank gave".to_owned(), reason.clone())));
    facts
}
