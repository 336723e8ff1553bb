//! Messages of payment processors that are not applied yet.

use actix_web::{HttpResponse, web};

use super::page_with;
use crate::console::extract::Staff;
use crate::console::store;
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Column, Table};
use crate::web::{App, PageError};

pub const HERE: &str = "/admin/payments/messages";
/// The oldest are shown; more than these are no longer read one by one.
const LISTED: i64 = 200;

/// `GET /admin/payments/messages`
///
/// # Errors
/// Database errors only.
pub async fn index(app: web::Data<App>, staff: Staff) -> Result<HttpResponse, PageError> {
    let waiting = store::waiting_events(&mut *app.db.acquire().await?, LISTED).await?;
    let now = app.clock.now();
    let table = Table {
        id: "messages",
        note: format!("At most {LISTED}, the oldest first. What a message says is not shown."),
        columns: vec![
            Column::of("Came"),
            Column::of("Processor"),
            Column::of("What"),
            Column::of("About"),
            Column::far("Message"),
        ],
        rows: waiting
            .iter()
            .map(|one| {
                vec![
                    Cell::when(when(one.received_at, now, staff.viewer())),
                    Cell::text(one.processor.as_str()),
                    Cell::text(one.kind.as_str()),
                    Cell::mono(one.object_ref.as_str()),
                    Cell::mono(one.id.as_str()),
                ]
            })
            .collect(),
        empty: "Every message is applied".into(),
        empty_note: "A message is applied seconds after it came, by a job that asks the processor itself.".into(),
        ..Table::default()
    };
    let about =
        "What payment processors told us and is not in the books yet. A message that stays here has a job that fails.";
    let shell = staff.shell("payments", "Messages not applied", about);
    page_with(shell, Some(("/admin/payments", "Payments")), Vec::new(), vec![Block::Table(table)])
}
