//! Events: what happened, with the object as it was then.

use serde_json::{Value, json};

use super::books::Work;
use super::error::Refusal;
use super::form::Form;
use super::lists::{self, Filter};
use super::objects::{API_VERSION, text};

/// Tells that something happened to a kept object.
pub fn tell(work: &mut Work, kind: &str, id: &str) {
    let mut event = work.new_object("event");
    event["type"] = json!(kind);
    event["api_version"] = json!(API_VERSION);
    event["data"]["object"] = work.now_is(id);
    event["pending_webhooks"] = json!(u8::from(work.house.has_webhook));
    event["request"] = json!({ "id": work.cause.request, "idempotency_key": work.cause.idempotency_key });
    let event = work.keep(event);
    if work.house.has_webhook {
        let delay = i64::try_from(work.books.switches.event_delay_ms).unwrap_or(i64::MAX);
        work.books.queue.add(event, work.now_ms.saturating_add(delay));
    }
}

pub fn list(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["type", "types"]))?;
    let types = form.texts("types");
    let filter = Filter {
        equal: &["type"],
        also: &|event| types.is_empty() || types.iter().any(|one| one == text(event, "type")),
    };
    lists::list(work, form, "event", "/v1/events", &filter)
}
