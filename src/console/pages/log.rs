//! The log of the house: what operators did, and what the server did by itself.

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::{ROWS, address, choices, page, pager, read_day, read_some, unread, wrong};
use crate::audit::{self, Action, Chain, Filter, Recorded};
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::books;
use crate::console::extract::Staff;
use crate::web::present::when;
use crate::web::views::blocks::{Block, Cell, Column, Filters, Input, Table};
use crate::web::{App, PageError};

/// Letters of a value.
const MAX_SHOWN: usize = 120;
const HERE: &str = "/admin/log";
const GROUPS: [(&str, &str); 3] =
    [("house", "The instance"), ("credits", "Credits"), ("organization", "Organizations")];

#[derive(Default, Deserialize)]
pub struct LogQuery {
    #[serde(default)]
    action: String,
    #[serde(default)]
    from: String,
    #[serde(default)]
    until: String,
    #[serde(default)]
    before: String,
}

/// `GET /admin/log`
///
/// # Errors
/// `Invalid` for a filter that cannot be read; database errors.
pub async fn index(app: web::Data<App>, staff: Staff, query: web::Query<LogQuery>) -> Result<HttpResponse, PageError> {
    let known = GROUPS.iter().any(|(group, _)| *group == query.action) || Action::parse(&query.action).is_some();
    if !query.action.is_empty() && !known {
        return Err(wrong("action"));
    }
    let filters = Filters {
        action: HERE.into(),
        fields: vec![
            Input::of("select", "action", "What").choices(choices("Everything", &GROUPS, &query.action)),
            Input::of("date", "from", "From").value(query.from.as_str()),
            Input::of("date", "until", "Until").value(query.until.as_str()),
        ],
        is_on: !query.action.is_empty() || !query.from.is_empty() || !query.until.is_empty(),
        ..Filters::default()
    };
    let about = "What operators did, with their reasons. Entries are never changed or taken out.";
    let shell = staff.shell("log", "Log of the console", about);
    let unread = unread::span(&query.from, &query.until, "");
    if !unread.is_empty() {
        return unread::page(shell, filters, &unread);
    }
    let before = read_some(&query.before, "before")?;
    let filter = Filter {
        action: query.action.clone(),
        actor: None,
        from: read_day(&query.from, "from")?.map(books::start_of),
        until: read_day(&query.until, "until")?.map(books::end_of),
        before,
    };
    let mut conn = app.db.acquire().await?;
    let rows = Rows::of(audit::page(&mut conn, Chain::House, &filter, fetch_limit(ROWS)).await?, ROWS);
    let here = |before: &str| {
        let parts = [("action", &*query.action), ("from", &query.from), ("until", &query.until), ("before", before)];
        address(HERE, &parts)
    };
    let table = Table {
        id: "log",
        columns: vec![
            Column::of("Time"),
            Column::of("Who"),
            Column::of("What"),
            Column::of("To what"),
            Column::of("Change and reason"),
        ],
        rows: rows.rows.iter().map(|entry| cells(entry, app.clock.now(), staff.viewer())).collect(),
        empty: "No entry fits".into(),
        empty_note: "Widen the days, or choose everything.".into(),
        pager: Some(pager(&rows, before.map(|_| here("")), |last| here(&last.seq.to_string()))),
        ..Table::default()
    };
    page(shell, vec![Block::Filters(filters), Block::Table(table)])
}

fn cells(entry: &Recorded, now: chrono::DateTime<chrono::Utc>, viewer: Viewer) -> Vec<Cell> {
    let personal = entry.personal();
    let who = match (personal.actor.as_str(), entry.actor_kind.as_str()) {
        ("", "operator") => "On the command line",
        ("", "system") => "Farebox",
        ("", _) => "Somebody whose name was erased",
        (name, _) => name,
    };
    let label = Action::parse(&entry.action).map_or_else(|| entry.action.clone(), |action| action.label().to_owned());
    let reason = personal.note.get("reason").and_then(serde_json::Value::as_str).unwrap_or_default();
    vec![
        Cell::when(when(entry.at, now, viewer)),
        Cell::text(who).under(personal.ip.clone()),
        Cell::text(label),
        Cell::text(personal.target.as_str()).under(format!("{} {}", entry.target_kind, entry.target_id)),
        Cell::text(told(&entry.after)).under(reason),
    ]
}

/// The fields of a change, in words.
fn told(json: &str) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(json) else { return String::new() };
    let word = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.chars().take(MAX_SHOWN).collect::<String>(),
        other => other.to_string().chars().take(MAX_SHOWN).collect(),
    };
    let parts = fields.iter().filter(|(_, value)| !value.is_null());
    let shown = |name: &str, value: &serde_json::Value| {
        let amount = value.as_str().filter(|_| audit::AMOUNTS.contains(&name)).and_then(|text| Usd::parse(text).ok());
        amount.map_or_else(|| word(value), Usd::display_exact)
    };
    parts
        .map(|(name, value)| format!("{}: {}", name.replace('_', " "), shown(name, value)))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_in_words() {
        assert_eq!(told(r#"{"amount":"5","reason":"gift","none":null}"#), "amount: $5.00, reason: gift");
        assert_eq!(told(""), "");
    }
}
