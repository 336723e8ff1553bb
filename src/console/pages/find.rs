//! From an id that somebody quotes to its page.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::page_with;
use crate::base::ids::{AdjustmentId, BatchId, CallId, ConfirmationId, OrgId, PersonId, TopUpId, TransferId};
use crate::console::extract::Staff;
use crate::console::store;
use crate::web::views::blocks::{Block, Filters, Input, Note};
use crate::web::{App, PageError, see_other};

pub const HERE: &str = "/admin/find";

#[derive(Default, Deserialize)]
pub struct FindQuery {
    #[serde(default)]
    q: String,
}

/// The field that asks for an id.
#[must_use]
pub fn field(asked: &str) -> Filters {
    Filters {
        action: HERE.into(),
        fields: vec![Input::of("text", "q", "Id of a call, organization, payment or transfer").wide().value(asked)],
        is_on: false,
        button: "Find",
    }
}

/// Where the page of a thing is, whose id says what it is; `None` for what has none, or has no page for this reader.
fn page_of(id: &str, is_operator: bool) -> Option<String> {
    let is = |ok: bool, path: &str| ok.then(|| format!("{path}/{id}"));
    is(id.parse::<OrgId>().is_ok(), "/admin/organizations")
        .or_else(|| is(id.parse::<TopUpId>().is_ok(), "/admin/payments"))
        .or_else(|| is(id.parse::<TransferId>().is_ok(), "/admin/books/transfers"))
        .or_else(|| is(id.parse::<AdjustmentId>().is_ok(), "/admin/adjustments"))
        .or_else(|| is(id.parse::<ConfirmationId>().is_ok(), "/admin/confirmations"))
        .or_else(|| is(id.parse::<BatchId>().is_ok(), "/admin/codes"))
        .or_else(|| is(is_operator && id.parse::<PersonId>().is_ok(), "/admin/people"))
}

/// `GET /admin/find?q=`: goes to the page of the thing with this id; a call is looked for in all organizations.
///
/// # Errors
/// Database errors only; what is not found is told.
pub async fn find(app: web::Data<App>, staff: Staff, query: web::Query<FindQuery>) -> Result<HttpResponse, PageError> {
    let asked: String = query.q.trim().chars().take(200).collect();
    if let Some(page) = page_of(&asked, staff.is_operator()) {
        return Ok(see_other(&page));
    }
    let text = match asked.parse::<CallId>() {
        Ok(call) => match store::org_of_call(&mut *app.db.acquire().await?, call).await? {
            Some(org) => return Ok(see_other(&format!("/admin/organizations/{org}/calls/{call}"))),
            None => {
                "No call with this id is in the log. One that runs is not there yet, and one whose time is over is \
                     there no more; what it cost stays in the books."
                    .to_owned()
            }
        },
        Err(_) if asked.is_empty() => String::new(),
        Err(_) => {
            "This is no id of a call, organization, payment, transfer, correction or batch of codes. Copy all of it, \
                   with the letters that it begins with."
                .to_owned()
        }
    };
    let mut blocks = vec![Block::Filters(field(&asked))];
    if !text.is_empty() {
        blocks.push(Block::Note(Note { tone: "info", icon: "info", text, ..Note::default() }));
    }
    let shell =
        staff.shell("overview", "Find by id", "Whatever has an id here begins with letters that say what it is.");
    page_with(shell, Some(("/admin", "Overview")), Vec::new(), blocks)
}
