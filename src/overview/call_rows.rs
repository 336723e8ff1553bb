//! Calls as rows of a list.

use std::collections::HashMap;

use chrono::{DateTime, Utc};

use crate::activity::LogRow;
use crate::base::Viewer;
use crate::base::ids::{KeyId, PersonId};
use crate::base::money::thousands;
use crate::web::present::{amount, duration, when};
use crate::web::views::Badge;
use crate::web::views::activity::CallRow;

/// What a key is called that is not known any more.
const UNKNOWN_KEY: &str = "unknown key";

/// Names of the keys that rows point to.
pub type KeyNames = HashMap<KeyId, String>;

/// The keys that rows point to, each once.
pub fn keys_of(rows: &[LogRow]) -> Vec<KeyId> {
    let mut ids: Vec<KeyId> = rows.iter().map(|row| row.key).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

pub fn name_of(names: &KeyNames, key: KeyId) -> String {
    names.get(&key).cloned().unwrap_or_else(|| UNKNOWN_KEY.to_owned())
}

/// Where nobody counted or measured, a cell is empty: no data is not zero.
pub fn call_row(
    row: &LogRow,
    names: &KeyNames,
    members: &HashMap<PersonId, String>,
    now: DateTime<Utc>,
    viewer: Viewer,
) -> CallRow {
    let tokens = |number: i64| if row.has_tokens() { count(number) } else { String::new() };
    CallRow {
        href: format!("/activity/{}", row.call),
        time: when(row.created_at, now, viewer),
        model: row.shown_model().to_owned(),
        provider: if row.is_byok { format!("{}, your own key", row.provider) } else { row.provider.clone() },
        app: row.app.clone(),
        key: name_of(names, row.key),
        tokens_in: tokens(row.prompt_tokens),
        tokens_out: tokens(row.completion_tokens),
        tokens_note: tokens_note(row.cached_tokens, row.reasoning_tokens),
        cost: amount(row.cost),
        own: row.is_byok.then(|| amount(row.upstream_cost)),
        speed: row.speed_tenths().map(speed).unwrap_or_default(),
        status: status_badge(&row.status, row.cancelled),
        member: row.member.and_then(|person| members.get(&person).cloned()).unwrap_or_default(),
        cached: tokens(row.cached_tokens),
        first: row.first_token_ms.map(|ms| duration(ms.into())).unwrap_or_default(),
        duration: duration(row.duration_ms.into()),
        finish: row.finish_reason.clone(),
        id: row.call.to_string(),
    }
}

pub fn count(number: i64) -> String {
    thousands(&number.max(0).to_string())
}

fn tokens_note(cached: i64, reasoning: i64) -> String {
    let parts = [(cached, "cached"), (reasoning, "reasoning")];
    let parts = parts.into_iter().filter(|(tokens, _)| *tokens > 0);
    parts.map(|(tokens, word)| format!("{} {word}", count(tokens))).collect::<Vec<_>>().join(", ")
}

/// Slow answers with a tenth, fast ones without.
pub fn speed(tenths: i64) -> String {
    if tenths < 100 {
        format!("{}.{} tok/s", tenths / 10, tenths % 10)
    } else {
        format!("{} tok/s", count(tenths / 10))
    }
}

/// The state of a call as the log words it.
pub fn status_badge(status: &str, cancelled: bool) -> Badge {
    match status {
        "success" if cancelled => Badge::new("warn", "ban", "Cut short"),
        "success" => Badge::new("good", "circle-check", "Success"),
        "failed" => Badge::new("bad", "circle-x", "Failed"),
        "rejected" => Badge::new("warn", "ban", "Rejected"),
        "abandoned" => Badge::new("", "clock", "Abandoned"),
        other => Badge::new("", "info", other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_true() {
        assert_eq!([speed(7), speed(99), speed(625)], ["0.7 tok/s", "9.9 tok/s", "62 tok/s"]);
        assert_eq!(tokens_note(1_024, 300), "1,024 cached, 300 reasoning");
        assert_eq!(tokens_note(0, 0), "");
    }
}
