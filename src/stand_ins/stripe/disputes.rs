//! What the bank says against a charge: disputes, and warnings of fraud before them.

use serde_json::{Value, json};

use super::books::Work;
use super::error::Refusal;
use super::events::tell;
use super::form::Form;
use super::lists::{self, Filter};
use super::objects::{number, text};

/// A week to answer a dispute, in seconds.
const TO_ANSWER: i64 = 7 * 24 * 60 * 60;

/// The bank takes money back. Stripe would take a fee besides; the stand-in knows no fees.
pub fn open(work: &mut Work, intent: &str, amount: Option<i64>) -> Result<Value, Refusal> {
    let dispute = make(work, intent, amount)?;
    let charge = text(&work.now_is(&dispute), "charge").to_owned();
    work.set(&charge, json!({ "disputed": true }));
    let cents = number(&work.now_is(&dispute), "amount");
    move_funds(work, &dispute, -cents, "adjustment", "dispute");
    tell(work, "charge.dispute.created", &dispute);
    tell(work, "charge.dispute.funds_withdrawn", &dispute);
    Ok(work.now_is(&dispute))
}

/// The bank only asks; no money moves yet.
pub fn inquire(work: &mut Work, intent: &str) -> Result<Value, Refusal> {
    let dispute = make(work, intent, None)?;
    work.set(&dispute, json!({ "status": "warning_needs_response" }));
    tell(work, "charge.dispute.created", &dispute);
    Ok(work.now_is(&dispute))
}

fn make(work: &mut Work, intent: &str, amount: Option<i64>) -> Result<String, Refusal> {
    let charge = paid_charge(work, intent)?;
    let id = text(&charge, "id").to_owned();
    let amount = amount.unwrap_or_else(|| number(&charge, "amount"));
    if !(1..=number(&charge, "amount")).contains(&amount) {
        return Err(Refusal::invalid("A dispute is about 1 cent to the whole charge.").param("amount"));
    }
    if charge["disputed"] == true {
        return Err(Refusal::invalid("This charge is disputed already.").code("charge_disputed"));
    }
    let kind = text(&charge["payment_method_details"], "type");
    let mut dispute = work.new_object("dispute");
    dispute["amount"] = json!(amount);
    dispute["charge"] = json!(id);
    dispute["currency"] = charge["currency"].clone();
    dispute["payment_intent"] = json!(intent);
    dispute["evidence_details"]["due_by"] = json!(work.now() + TO_ANSWER);
    if kind == "card" {
        let brand = charge["payment_method_details"]["card"]["brand"].clone();
        dispute["payment_method_details"] = json!({
            "type": "card",
            "card": { "brand": brand, "case_type": "chargeback", "network": brand, "network_reason_code": "10.4" },
        });
    }
    Ok(work.keep(dispute))
}

fn paid_charge(work: &Work, intent: &str) -> Result<Value, Refusal> {
    let charge = super::intents::latest_charge(work, intent, None)?;
    if charge["status"] == "succeeded" { Ok(charge) } else { Err(Refusal::invalid("This payment has not been paid.")) }
}

fn move_funds(work: &mut Work, dispute: &str, cents: i64, kind: &str, category: &str) {
    let row = work.now_is(dispute);
    let moved = work.move_balance(cents, kind, category, dispute, text(&row, "currency"));
    let mut rows = row["balance_transactions"].as_array().cloned().unwrap_or_default();
    rows.push(work.now_is(&moved));
    work.set(dispute, json!({ "balance_transactions": rows }));
}

/// The bank has decided.
pub fn close(work: &mut Work, id: &str, won: bool) -> Result<Value, Refusal> {
    let dispute = work.find("dispute", id)?;
    if !is_open(&dispute) {
        return Err(Refusal::invalid(format!("This dispute is {} already.", text(&dispute, "status"))));
    }
    let asked = text(&dispute, "status") == "warning_needs_response";
    let status = match (asked, won) {
        (true, _) => "warning_closed",
        (false, true) => "won",
        (false, false) => "lost",
    };
    work.set(id, json!({ "status": status }));
    if won && !asked {
        give_back(work, id, &dispute);
    }
    tell(work, "charge.dispute.closed", id);
    Ok(work.now_is(id))
}

fn give_back(work: &mut Work, id: &str, dispute: &Value) {
    move_funds(work, id, number(dispute, "amount"), "adjustment", "dispute_reversal");
    tell(work, "charge.dispute.funds_reinstated", id);
}

/// The bank decides a dispute that was over once more, the other way.
pub fn turn(work: &mut Work, id: &str) -> Result<Value, Refusal> {
    let dispute = work.find("dispute", id)?;
    match text(&dispute, "status") {
        "lost" => {
            work.set(id, json!({ "status": "won" }));
            give_back(work, id, &dispute);
        }
        "won" => {
            work.set(id, json!({ "status": "lost" }));
            move_funds(work, id, -number(&dispute, "amount"), "adjustment", "dispute");
            tell(work, "charge.dispute.funds_withdrawn", id);
        }
        status => return Err(Refusal::invalid(format!("This dispute is {status}; nobody has decided it yet."))),
    }
    tell(work, "charge.dispute.updated", id);
    Ok(work.now_is(id))
}

/// Whether the bank has not decided yet.
pub fn is_open(dispute: &Value) -> bool {
    !matches!(text(dispute, "status"), "won" | "lost" | "warning_closed")
}

/// The disputes about a charge, newest first.
pub fn of_charge<'a>(work: &'a Work, charge: &'a str) -> impl Iterator<Item = &'a Value> {
    work.books.all("dispute").filter(move |dispute| text(dispute, "charge") == charge)
}

/// Whether the money of a charge is in a dispute, or was lost in one.
pub fn blocks_refunds(work: &Work, charge: &str) -> bool {
    let frees = ["won", "warning_needs_response", "warning_closed"];
    of_charge(work, charge).any(|dispute| !frees.contains(&text(dispute, "status")))
}

/// A card network says that a charge is probably fraud. No money moves.
pub fn warn(work: &mut Work, intent: &str) -> Result<Value, Refusal> {
    let charge = paid_charge(work, intent)?;
    let mut warning = work.new_object("radar.early_fraud_warning");
    warning["charge"] = charge["id"].clone();
    warning["actionable"] = json!(charge["refunded"] != true && charge["disputed"] != true);
    let id = work.keep(warning);
    tell(work, "radar.early_fraud_warning.created", &id);
    Ok(work.now_is(&id))
}

pub fn list(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["charge", "payment_intent"]))?;
    let filter = Filter { equal: &["charge", "payment_intent"], also: &|_| true };
    lists::list(work, form, "dispute", "/v1/disputes", &filter)
}

pub fn list_warnings(work: &Work, form: &Form) -> Result<Value, Refusal> {
    form.only(&lists::with_paging(&["charge", "payment_intent"]))?;
    let of_intent = |warning: &Value| {
        form.text("payment_intent")
            .is_none_or(|intent| work.now_is(text(warning, "charge"))["payment_intent"] == intent)
    };
    let filter = Filter { equal: &["charge"], also: &of_intent };
    lists::list(work, form, "radar.early_fraud_warning", "/v1/radar/early_fraud_warnings", &filter)
}
