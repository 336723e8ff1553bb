//! Money back to the person.

use serde_json::{Value, json};

use super::books::Work;
use super::error::Refusal;
use super::events::tell;
use super::form::Form;
use super::lists::{self, Filter};
use super::methods;
use super::objects::{number, text};

const REASONS: &[&str] = &["duplicate", "fraudulent", "requested_by_customer"];

pub fn create(work: &mut Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&["amount", "charge", "metadata", "payment_intent", "reason"])?;
    let charge = match (form.text("charge"), form.text("payment_intent")) {
        (Some(charge), _) => work.named("charge", charge, "charge")?,
        (None, Some(intent)) => super::intents::latest_charge(work, intent, Some("payment_intent"))?,
        (None, None) => return Err(Refusal::missing_parameter("payment_intent")),
    };
    let amount = form.number("amount")?;
    let reason = form.choice("reason", REASONS)?.map(str::to_owned);
    let metadata = form.metadata()?.unwrap_or_default();
    let id = refund(work, &charge, amount)?;
    work.set(&id, json!({ "reason": reason, "metadata": metadata }));
    announce(work, &id);
    Ok(work.now_is(&id))
}

/// Pays back all that is left of a charge, or a part of it. The caller announces it.
pub fn refund(work: &mut Work, charge: &Value, amount: Option<i64>) -> Result<String, Refusal> {
    let id = text(charge, "id").to_owned();
    if charge["status"] != "succeeded" {
        return Err(Refusal::invalid(format!(
            "The charge {id} is {}; only paid ones can be refunded.",
            text(charge, "status")
        )));
    }
    if super::disputes::blocks_refunds(work, &id) {
        return Err(
            Refusal::invalid(format!("The charge {id} is disputed and cannot be refunded.")).code("charge_disputed")
        );
    }
    let left = number(charge, "amount") - number(charge, "amount_refunded");
    if left == 0 {
        let message = format!("The charge {id} has been refunded already.");
        return Err(Refusal::invalid(message).code("charge_already_refunded"));
    }
    let amount = amount.unwrap_or(left);
    if !(1..=left).contains(&amount) {
        let message =
            format!("The refund of {amount} cents must be between 1 and the {left} cents that are left of the charge.");
        return Err(Refusal::invalid(message).param("amount"));
    }
    let kind = text(&charge["payment_method_details"], "type").to_owned();
    let currency = text(charge, "currency").to_owned();
    let mut row = work.new_object("refund");
    row["amount"] = json!(amount);
    row["charge"] = json!(id);
    for field in ["currency", "payment_intent", "customer", "payment_method"] {
        row[field] = charge[field].clone();
    }
    row["status"] = json!(if methods::is_later(&kind) { "pending" } else { "succeeded" });
    row["destination_details"] = match kind.as_str() {
        "card" => {
            json!({ "type": "card", "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" } })
        }
        "us_bank_account" => {
            json!({ "type": "us_bank_transfer", "us_bank_transfer": { "reference": null, "reference_status": "pending" } })
        }
        other => json!({ "type": other, other: {} }),
    };
    let refund = work.keep(row);
    let moved = work.move_balance(-amount, "refund", "refund", &refund, &currency);
    work.set(&refund, json!({ "balance_transaction": moved }));
    add_to_charge(work, &id, amount);
    Ok(refund)
}

/// The sum of a charge's refunds changes.
fn add_to_charge(work: &mut Work, charge: &str, cents: i64) {
    let row = work.now_is(charge);
    let sum = number(&row, "amount_refunded") + cents;
    work.set(charge, json!({ "amount_refunded": sum, "refunded": sum == number(&row, "amount") }));
    let rows = work.books.all("refund").filter(|refund| text(refund, "charge") == charge).cloned().collect::<Vec<_>>();
    let mut list = row["refunds"].clone();
    list["data"] = json!(rows);
    work.set(charge, json!({ "refunds": list }));
}

/// Tells of a new refund.
pub fn announce(work: &mut Work, refund: &str) {
    let charge = text(&work.now_is(refund), "charge").to_owned();
    add_to_charge(work, &charge, 0);
    tell(work, "refund.created", refund);
    tell(work, "charge.refunded", &charge);
}

/// The person's bank took the money, or sent it back to us.
pub fn finish(work: &mut Work, id: &str, came: bool) -> Result<(), Refusal> {
    let refund = work.find("refund", id)?;
    let (charge, amount) = (text(&refund, "charge").to_owned(), number(&refund, "amount"));
    match (text(&refund, "status"), came) {
        ("pending", true) => work.set(id, json!({ "status": "succeeded" })),
        ("pending" | "succeeded", false) => {
            let currency = text(&refund, "currency").to_owned();
            let moved = work.move_balance(amount, "refund_failure", "refund_failure", id, &currency);
            let failed = json!({
                "status": "failed", "failure_reason": "lost_or_stolen_card", "failure_balance_transaction": moved
            });
            work.set(id, failed);
            add_to_charge(work, &charge, -amount);
            tell(work, "refund.failed", id);
        }
        (status, _) => return Err(Refusal::invalid(format!("This refund is {status} already."))),
    }
    add_to_charge(work, &charge, 0);
    tell(work, "refund.updated", id);
    Ok(())
}

pub fn list(work: &Work, form: &Form, charge: Option<&str>) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["charge", "payment_intent"]))?;
    let also = |refund: &Value| charge.is_none_or(|charge| text(refund, "charge") == charge);
    let filter = Filter { equal: &["charge", "payment_intent"], also: &also };
    let url = charge.map_or_else(|| "/v1/refunds".to_owned(), |charge| format!("/v1/charges/{charge}/refunds"));
    lists::list(work, form, "refund", &url, &filter)
}
