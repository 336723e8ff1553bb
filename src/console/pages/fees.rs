//! What purchases cost, and who may sign up, as this instance is set.

use actix_web::{HttpResponse, web};

use super::page;
use crate::accounts::{SignUpPolicy, SignUpRules};
use crate::base::Usd;
use crate::console::Settings;
use crate::console::extract::Staff;
use crate::topups::processors::Processors;
use crate::web::PageError;
use crate::web::present::amount;
use crate::web::views::blocks::{Block, Cell, Column, Facts, Note, Table};

/// What fees are shown for.
const EXAMPLE: Usd = Usd::from_whole(100);

/// `GET /admin/fees`
///
/// # Errors
/// When the page cannot be rendered.
pub async fn show(
    processors: web::Data<Processors>,
    rules: web::Data<SignUpRules>,
    settings: web::Data<Settings>,
    staff: Staff,
) -> Result<HttpResponse, PageError> {
    let rows = processors.schedule.methods().iter().map(|method| {
        let quote = processors.schedule.quote(EXAMPLE, method).ok();
        vec![
            Cell::text(method.name),
            Cell::text(method.processor),
            Cell::text(method.fee.describe()),
            quote.map_or_else(|| Cell::text(""), |quote| Cell::amount(amount(quote.total))),
        ]
    });
    let table = Table {
        id: "fees",
        title: "Fees on purchases".into(),
        columns: vec![
            Column::of("Way to pay"),
            Column::of("Processor"),
            Column::of("Fee"),
            Column::right("$100 of credits cost"),
        ],
        rows: rows.collect(),
        empty: "Nothing can be bought here".into(),
        empty_note: "No payment processor is set up.".into(),
        ..Table::default()
    };
    let policy = match &rules.policy {
        SignUpPolicy::Open => "Everybody who can prove an address".to_owned(),
        SignUpPolicy::Closed => "Nobody; accounts are made on the command line".to_owned(),
        SignUpPolicy::Domains(domains) => format!("Addresses of {}, and whoever was invited", domains.join(", ")),
        SignUpPolicy::Invitation => "Whoever was invited".to_owned(),
    };
    let facts = Facts::of(
        "rules",
        "Rules",
        vec![
            ("Who may sign up", Cell::text(policy).under("FAREBOX_SIGN_UP, FAREBOX_SIGN_UP_DOMAINS")),
            (
                "A second operator agrees above",
                Cell::amount(amount(settings.four_eyes_above)).under("FAREBOX_FOUR_EYES_ABOVE"),
            ),
        ],
    );
    let text = "These are settings of the server: FAREBOX_FEE_ and the name of a way to pay, and those below. They change \
                with a restart, and apply to purchases that begin afterwards.";
    let note = Note { tone: "info", icon: "info", text: text.into(), ..Note::default() };
    let shell = staff.shell("fees", "Fees and sign-up", "What purchases cost, and who may have an account.");
    page(shell, vec![Block::Note(note), Block::Table(table), Block::Facts(facts)])
}
