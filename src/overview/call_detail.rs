//! One call, explained.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::call_rows::{count, speed, status_badge};
use super::models::dollars;
use crate::activity::{self, BillLine, Detail};
use crate::base::{Usd, Viewer};
use crate::privacy::{MAX_TEXT, Seen};
use crate::vault::VaultError;
use crate::web::present::{amount, duration, percent, when};
use crate::web::views::Fact;
use crate::web::views::activity::{Attempt, CallView, CostLine, Texts};

/// Without the texts and the command that makes the call again.
pub fn view(call: &Detail, (key, maker): (String, Option<String>), now: DateTime<Utc>, viewer: Viewer) -> CallView {
    CallView {
        status: status_badge(&call.status, call.cancelled),
        note: note(call),
        cost: amount(call.cost),
        cost_lines: cost_lines(call),
        price_note: price_note(call, viewer),
        held: amount(call.hold),
        returned_label: "Returned".to_owned(),
        returned: amount((call.hold - call.cost).max(Usd::ZERO)),
        attempts: attempts(&call.attempts),
        facts: facts(call, maker),
        key_href: Some(format!("/activity?key={}", call.key)),
        key,
        time: when(call.created_at, now, viewer),
        timings: timings(call),
        request_id: call.request_id.clone(),
        texts: None,
        curl: String::new(),
        curl_note: String::new(),
    }
}

/// What is stored of a call, as its page shows it.
pub fn texts(read: Result<Option<Seen>, VaultError>, viewer: Viewer) -> Result<Option<Texts>, sqlx::Error> {
    let cut = |total: u64| {
        let kept = u64::try_from(MAX_TEXT).unwrap_or(u64::MAX);
        let kilobytes = |bytes: u64| crate::base::money::thousands(&bytes.div_ceil(1_024).to_string());
        if total <= kept {
            String::new()
        } else {
            format!("The first {} KB of {} KB.", kilobytes(kept), kilobytes(total))
        }
    };
    match read {
        Ok(None) => Ok(None),
        Ok(Some(seen)) => Ok(Some(Texts {
            request_note: cut(seen.request_bytes),
            request: pretty(seen.request),
            response_note: cut(seen.response_bytes),
            response: pretty(seen.response),
            until: format!("They are deleted on {}.", viewer.day(seen.expires_at)),
            problem: String::new(),
        })),
        Err(VaultError::Database(error)) => Err(error),
        Err(error @ VaultError::Seal(_)) => {
            tracing::error!(%error, "the stored texts of a call cannot be opened");
            let problem = "They are stored, but cannot be opened. The operator’s log says why.".to_owned();
            Ok(Some(Texts { problem, ..Texts::default() }))
        }
    }
}

fn note(call: &Detail) -> String {
    let why =
        if call.error.is_empty() { String::new() } else { format!(" Reason: {}.", call.error.trim_end_matches('.')) };
    match call.status.as_str() {
        "rejected" => format!("Refused before it ran, so nothing was charged.{why}"),
        "success" if call.extra.is_byok && !call.cancelled => {
            "It ran with your own key, so the provider bills it to your account there.".to_owned()
        }
        "abandoned" => {
            "The server stopped before this call was settled. What cannot be proven is not charged.".to_owned()
        }
        "failed" if call.cost.is_zero() => format!("Not charged: nothing usable was produced.{why}"),
        "failed" => format!("It failed on the way; what had been produced until then was charged.{why}"),
        _ if call.overrun.is_positive() => {
            "It cost more than was held for it. The operator bears the difference.".to_owned()
        }
        _ if call.cancelled => "The client left before the end. What had been produced by then was charged.".to_owned(),
        _ => String::new(),
    }
}

/// They add up to what was charged, to the last digit.
fn cost_lines(call: &Detail) -> Vec<CostLine> {
    call.bill().iter().map(cost_line).collect()
}

/// JSON on several lines; everything else, and what was cut, as it is.
fn pretty(text: String) -> String {
    let parsed = serde_json::from_str::<serde_json::Value>(&text).ok();
    parsed.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or(text)
}

fn cost_line(line: &BillLine) -> CostLine {
    let amount = line.amount().display_exact();
    let plain = |what: &str| CostLine { what: what.to_owned(), amount: amount.clone(), ..CostLine::default() };
    match line {
        BillLine::Priced(line) => CostLine {
            what: line.label.to_owned(),
            quantity: crate::base::money::thousands(&line.quantity.to_string()),
            price: if line.is_per_piece() {
                format!("{} each", dollars(line.unit_price.amount()))
            } else {
                format!("{} / 1M", dollars(line.unit_price.per_million()))
            },
            amount,
        },
        BillLine::Other(_) => plain("Images and other parts of the call"),
        BillLine::OwnAccount(_) => plain("Billed by the provider to your own account"),
        BillLine::OwnFee { above, free, rate, .. } => CostLine {
            what: if free.is_positive() {
                format!("Fee on what is above the free allowance, which covered {}", free.display_exact())
            } else {
                "Fee for calls with your own key".to_owned()
            },
            quantity: above.display_exact(),
            price: percent(*rate),
            amount,
        },
        BillLine::Discount(_) => plain("Discount for storing inputs and outputs"),
        BillLine::Borne(_) => plain("Borne by the operator"),
    }
}

fn price_note(call: &Detail, viewer: Viewer) -> String {
    call.price.as_ref().map_or_else(
        || "No price was fixed, because no provider took the call.".to_owned(),
        |price| format!("Prices of {}, version {}.", viewer.day(price.since), price.version),
    )
}

/// As the gateway writes them. A field that is missing is shown as unknown, never as an error of the page.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Tried {
    provider: String,
    model: String,
    status: Option<u16>,
    error: String,
    duration_ms: i64,
    /// Slugs, the one that counts first.
    presets: Vec<String>,
    own: bool,
}

fn attempts(value: &serde_json::Value) -> Vec<Attempt> {
    let tried = value.as_array().map(Vec::as_slice).unwrap_or_default();
    tried.iter().map(|one| attempt(Tried::deserialize(one).unwrap_or_default())).collect()
}

fn attempt(tried: Tried) -> Attempt {
    let ok = tried.error.is_empty() && tried.status.is_some_and(|status| (200..300).contains(&status));
    let answer = match (tried.status, tried.error.as_str()) {
        (Some(_), "") if ok => "answered".to_owned(),
        (Some(status), "") => format!("answered {status}"),
        (Some(status), error) => format!("answered {status}: {error}"),
        (None, "") => "did not answer".to_owned(),
        (None, error) => format!("did not answer: {error}"),
    };
    let provider = if tried.own { format!("{}, your own key", tried.provider) } else { tried.provider };
    Attempt { provider, model: tried.model, ok, answer, took: duration(tried.duration_ms) }
}

fn facts(call: &Detail, maker: Option<String>) -> Vec<Fact> {
    let tokens = |part: i64| if part > 0 { count(part) } else { String::new() };
    // Where nobody counted there is no number, not even zero.
    let counted = |all: i64| if counted_by(&call.counted_by).is_empty() { tokens(all) } else { count(all) };
    let facts = [
        ("Call id", call.call.to_string(), true),
        ("Model asked", call.model_asked.clone(), true),
        ("Preset", presets(&call.attempts), true),
        ("Model served", call.model.clone(), true),
        ("Provider", call.provider.clone(), false),
        ("Its name there", call.upstream_model.clone(), true),
        ("Its id there", call.upstream_id.clone(), true),
        ("Input tokens", counted(call.prompt_tokens), false),
        ("Of these, from cache", tokens(call.cached_tokens), false),
        ("Of these, to cache", tokens(call.cache_write_tokens), false),
        ("Output tokens", counted(call.completion_tokens), false),
        ("Of these, reasoning", tokens(call.reasoning_tokens), false),
        ("Counted by", counted_by(&call.counted_by).to_owned(), false),
        ("App", call.app.clone(), false),
        ("App's address", call.referer.clone(), false),
        ("Program", call.user_agent.clone(), false),
        ("Key made by", maker.unwrap_or_default(), false),
        ("Streamed", if call.streamed { "Yes" } else { "No" }.to_owned(), false),
        ("Finish", call.finish_reason.clone(), false),
        ("Answered with", call.http_status.to_string(), false),
        ("Ledger transfer", call.transfer.map(|id| id.to_string()).unwrap_or_default(), true),
    ];
    let known = facts.into_iter().filter(|(_, value, _)| !value.is_empty());
    known.map(|(label, value, mono)| Fact { label: label.to_owned(), value, mono }).collect()
}

/// The presets of the call, which every attempt names.
fn presets(attempts: &serde_json::Value) -> String {
    let first = attempts.get(0).map(|one| Tried::deserialize(one).unwrap_or_default()).unwrap_or_default();
    first.presets.join(", then ")
}

fn counted_by(word: &str) -> &str {
    match word {
        "upstream" => "the provider",
        "here" => "Farebox, because the provider did not say",
        _ => "",
    }
}

fn timings(call: &Detail) -> Vec<Fact> {
    let tenths = activity::speed_tenths(call.completion_tokens, call.first_token_ms, call.duration_ms);
    let facts = [
        ("To first token", call.first_token_ms.map(i64::from).map(duration)),
        ("In all", Some(duration(call.duration_ms.into()))),
        ("Speed", tenths.map(speed)),
    ];
    let known = facts.into_iter().filter_map(|(label, value)| value.map(|value| (label, value)));
    known.map(|(label, value)| Fact { label: label.to_owned(), value, mono: false }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_told_as_they_went() {
        let tried = serde_json::json!([
            { "provider": "a", "model": "m", "status": 429, "error": "slow down", "duration_ms": 312 },
            { "provider": "b", "model": "m2", "status": null, "error": "timed out", "duration_ms": 30_000 },
            { "provider": "c", "model": "m", "status": 200, "error": "", "duration_ms": 4_120 },
            7,
        ]);
        assert_eq!(attempts(&tried).iter().map(|one| one.model.as_str()).collect::<Vec<_>>(), ["m", "m2", "m", ""]);
        let told: Vec<_> = attempts(&tried).into_iter().map(|one| (one.ok, one.answer, one.took)).collect();
        assert_eq!(told[0], (false, "answered 429: slow down".into(), "312 ms".into()));
        assert_eq!(told[1], (false, "did not answer: timed out".into(), "30.0 s".into()));
        assert_eq!(told[2], (true, "answered".into(), "4.1 s".into()));
        assert!(!told[3].0);
        let with = |slugs: serde_json::Value| serde_json::json!([{ "provider": "a", "presets": slugs }]);
        assert_eq!(presets(&with(serde_json::json!(["named", "bound"]))), "named, then bound");
        assert_eq!((presets(&with(serde_json::json!([]))).as_str(), presets(&tried).as_str()), ("", ""));
    }
}
