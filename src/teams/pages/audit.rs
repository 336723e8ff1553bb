//! The log of an organization: who did what, filtered by the address, and its export.

use std::fmt::Write as _;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::audit::{self, Action, Chain, Filter, Recorded};
use crate::base::csv::cell;
use crate::base::ids::PersonId;
use crate::base::money::thousands;
use crate::base::paging::{Rows, fetch_limit};
use crate::base::{Usd, Viewer};
use crate::orgs::{self, Member, Permission};
use crate::web::present::when;
use crate::web::views::teams as views;
use crate::web::views::{Badge, Choice, Field, Pager};
use crate::web::{App, PageError, html, unprocessable};

const ROWS: u16 = 50;
/// An export holds at most so many entries, the newest: it is built in memory.
const MAX_EXPORT: usize = 10_000;
/// Entries that are read at a time for an export.
const CHUNK: i64 = 1_000;
/// Values in lines of changes are cut to this.
const MAX_SHOWN: usize = 80;
/// The parts of an organization's log.
const GROUPS: [(&str, &str); 5] = [
    ("", "Everything"),
    ("member", "Members"),
    ("key", "Keys"),
    ("credits", "Credits"),
    ("organization", "Organization"),
];

#[derive(Clone, Default, Deserialize, Serialize)]
pub struct AuditQuery {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    person: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    from: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    until: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    before: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    format: String,
}

impl AuditQuery {
    /// Whoever reads in a zone means its days.
    fn filter(&self, zone: Tz) -> Result<Filter, PageError> {
        let wrong = |field: &str| PageError::Invalid(format!("In the address, the filter {field:?} cannot be read."));
        let day = |text: &str, field: &str| -> Result<Option<NaiveDate>, PageError> {
            if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong(field)) }
        };
        if !GROUPS.iter().any(|(group, _)| *group == self.action) && Action::parse(&self.action).is_none() {
            return Err(wrong("action"));
        }
        let actor = match self.person.as_str() {
            "" => None,
            text => Some(text.parse::<PersonId>().map_err(|_| wrong("person"))?.0),
        };
        let before = match self.before.as_str() {
            "" => None,
            text => Some(text.parse().map_err(|_| wrong("before"))?),
        };
        // The day that is named is shown too.
        let after = |day: NaiveDate| day.checked_add_days(Days::new(1)).unwrap_or(day);
        Ok(Filter {
            action: self.action.clone(),
            actor,
            from: day(&self.from, "from")?.map(|day| start_of(day, zone)),
            until: day(&self.until, "until")?.map(|day| start_of(after(day), zone)),
            before,
        })
    }

    /// The same, and what is wrong with the days as they were typed: days that cannot be read are left out.
    fn of_fields(&self, zone: Tz) -> Result<(Filter, [&'static str; 2]), PageError> {
        let told = |text: &str| match text.is_empty() || text.parse::<NaiveDate>().is_ok() {
            true => "",
            false => "Write a day like 2026-11-01.",
        };
        let wrong = [told(&self.from), told(&self.until)];
        let mut read = self.clone();
        for (text, told) in [&mut read.from, &mut read.until].into_iter().zip(wrong) {
            if !told.is_empty() {
                text.clear();
            }
        }
        Ok((read.filter(zone)?, wrong))
    }

    fn is_on(&self) -> bool {
        [&self.action, &self.person, &self.from, &self.until].iter().any(|text| !text.is_empty())
    }

    fn address(&self, path: &str, before: &str, format: &str) -> String {
        let query = AuditQuery { before: before.to_owned(), format: format.to_owned(), ..self.clone() };
        match serde_urlencoded::to_string(query) {
            Ok(query) if !query.is_empty() => format!("{path}?{query}"),
            _ => path.to_owned(),
        }
    }
}

/// The first moment of a day in a zone; where the clock skips midnight, midnight UTC.
fn start_of(day: NaiveDate, zone: Tz) -> DateTime<Utc> {
    let midnight = day.and_time(NaiveTime::MIN);
    midnight.and_local_timezone(zone).earliest().map_or_else(|| midnight.and_utc(), |at| at.with_timezone(&Utc))
}

/// A proof of somebody who may read the log.
pub struct Reader(Member);

impl actix_web::FromRequest for Reader {
    type Error = PageError;
    type Future = futures_util::future::LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &actix_web::HttpRequest, payload: &mut actix_web::dev::Payload) -> Self::Future {
        let member = Member::from_request(request, payload);
        Box::pin(async move {
            let member = member.await?;
            if member.may(Permission::SeeAuditLog) {
                Ok(Reader(member))
            } else {
                Err(orgs::OrgError::NotAllowed.into())
            }
        })
    }
}

/// `GET /settings/audit`
///
/// # Errors
/// `Invalid` for a filter that nobody can have typed into the fields, and database errors.
pub async fn index(
    app: web::Data<App>,
    Reader(member): Reader,
    query: web::Query<AuditQuery>,
) -> Result<HttpResponse, PageError> {
    let (now, viewer, org) = (app.clock.now(), member.person().viewer(), member.org_id());
    let (filter, wrong) = query.of_fields(viewer.zone)?;
    let refused = wrong.iter().any(|told| !told.is_empty());
    let mut conn = member.tenant(&app).await?;
    let found = match refused {
        true => Vec::new(),
        false => audit::page(&mut conn, Chain::Org(org), &filter, fetch_limit(ROWS)).await?,
    };
    let rows = Rows::of(found, ROWS);
    let people = orgs::members(&mut conn, org).await?;
    let everybody = Choice::new("", "Everybody", "", query.person.is_empty());
    let person = |(id, name): &(PersonId, String)| {
        let id = id.to_string();
        Choice::new(&id, name, "", id == query.person)
    };
    let page = views::Audit {
        shell: member.shell("audit", "Audit log", "Who did what here. Entries are never changed or taken out."),
        actions: GROUPS.map(|(group, label)| Choice::new(group, label, "", group == query.action)).to_vec(),
        people: std::iter::once(everybody).chain(people.iter().map(person)).collect(),
        from: Field::wrong(&query.from, wrong[0]),
        until: Field::wrong(&query.until, wrong[1]),
        refused,
        filtered: query.is_on(),
        entries: rows.rows.iter().map(|entry| row(entry, now, viewer)).collect(),
        csv_href: query.address("/settings/audit/export", "", "csv"),
        json_href: query.address("/settings/audit/export", "", "json"),
        export_most: thousands(&MAX_EXPORT.to_string()),
        pager: Pager {
            older_href: rows
                .rows
                .last()
                .filter(|_| rows.more)
                .map(|last| query.address("/settings/audit", &last.seq.to_string(), "")),
            newest_href: filter.before.map(|_| query.address("/settings/audit", "", "")),
            note: String::new(),
            ..Pager::default()
        },
    };
    if refused { unprocessable(&page) } else { html(&page) }
}

fn row(entry: &Recorded, now: DateTime<Utc>, viewer: Viewer) -> views::AuditRow {
    let personal = entry.personal();
    views::AuditRow {
        time: when(entry.at, now, viewer),
        actor: actor(entry),
        action: Badge::new("", "", label(entry)),
        target: personal.target.clone(),
        changes: changes(&entry.before, &entry.after, viewer),
        origin: personal.ip,
    }
}

fn label(entry: &Recorded) -> String {
    Action::parse(&entry.action).map_or_else(|| entry.action.clone(), |action| action.label().to_owned())
}

fn actor(entry: &Recorded) -> String {
    let name = entry.personal().actor;
    if !name.is_empty() {
        return name;
    }
    match entry.actor_kind.as_str() {
        "operator" => "The operator".to_owned(),
        "system" => "Farebox".to_owned(),
        "nobody" => "Somebody not signed in".to_owned(),
        "key" => "A program".to_owned(),
        _ => "A person whose name was erased".to_owned(),
    }
}

/// What changed, one line each: names that only one side has, and values that differ.
fn changes(before: &str, after: &str, viewer: Viewer) -> Vec<String> {
    let read = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let (before, after) = (read(before), read(after));
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    let value = |side: &Map<String, Value>, name: &str| match side.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => {
            let amount = Some(text).filter(|_| audit::AMOUNTS.contains(&name)).and_then(|text| Usd::parse(text).ok());
            let at = || DateTime::parse_from_rfc3339(text).ok();
            Some(match amount {
                Some(amount) => amount.display_exact(),
                None => at().map_or_else(
                    || text.chars().take(MAX_SHOWN).collect::<String>(),
                    |at| viewer.moment_in_zone(at.to_utc()),
                ),
            })
        }
        Some(other) => Some(other.to_string().chars().take(MAX_SHOWN).collect()),
    };
    names
        .filter_map(|name| {
            let label = name.replace('_', " ");
            match (value(&before, name), value(&after, name)) {
                (before, after) if before == after => None,
                (Some(before), Some(after)) => Some(format!("{label}: {before} → {after}")),
                (None, Some(after)) => Some(format!("{label}: {after}")),
                (Some(before), None) => Some(format!("{label}: {before} → none")),
                (None, None) => None,
            }
        })
        .collect()
}

/// `GET /settings/audit/export?format=`: what is filtered, at most the newest [`MAX_EXPORT`] entries, times in UTC. The export is noted in the log.
///
/// # Errors
/// `Invalid` for a filter or a format that cannot be read, and database errors.
pub async fn export(
    app: web::Data<App>,
    Reader(member): Reader,
    query: web::Query<AuditQuery>,
) -> Result<HttpResponse, PageError> {
    let mut filter = query.filter(member.person().zone())?;
    let (kind, name): (&str, &str) = match query.format.as_str() {
        "" | "csv" => ("text/csv; charset=utf-8", "audit.csv"),
        "json" => ("application/json", "audit.json"),
        _ => return Err(PageError::Invalid("An export is format=csv or format=json.".into())),
    };
    let mut conn = member.tenant(&app).await?;
    let mut entries: Vec<Recorded> = Vec::new();
    while entries.len() < MAX_EXPORT {
        let rows = audit::page(&mut conn, Chain::Org(member.org_id()), &filter, CHUNK).await?;
        let Some(last) = rows.last() else { break };
        filter.before = Some(last.seq);
        entries.extend(rows);
    }
    entries.truncate(MAX_EXPORT);
    // Who took the log with them stands in it, too.
    let entry = member.acting().entry(Action::LogExported);
    audit::record(&mut conn, entry.change(Value::Null, json!({ "file": name, "entries": entries.len() }))).await?;
    conn.commit().await?;
    let body = if name == "audit.csv" { csv(&entries) } else { as_json(&entries).to_string() };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body))
}

fn as_json(entries: &[Recorded]) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let one = |entry: &Recorded| {
        let personal = entry.personal();
        json!({
            "number": entry.seq,
            "time": entry.at,
            "action": entry.action,
            "actor_kind": entry.actor_kind,
            "actor_id": entry.actor_id,
            "actor": personal.actor,
            "target_kind": entry.target_kind,
            "target_id": entry.target_id,
            "target": personal.target,
            "before": parsed(&entry.before),
            "after": parsed(&entry.after),
            "ip": personal.ip,
            "user_agent": personal.user_agent,
            "digest": hex::encode(&entry.digest),
        })
    };
    Value::Array(entries.iter().map(one).collect())
}

fn csv(entries: &[Recorded]) -> String {
    let mut out = String::from(
        "number,time,action,actor_kind,actor_id,actor,target_kind,target_id,target,before,after,ip,user_agent,digest\r\n",
    );
    for entry in entries {
        let personal = entry.personal();
        let fields = [
            entry.seq.to_string(),
            entry.at.to_rfc3339(),
            entry.action.clone(),
            entry.actor_kind.clone(),
            entry.actor_id.map(|id| id.to_string()).unwrap_or_default(),
            personal.actor,
            entry.target_kind.clone(),
            entry.target_id.clone(),
            personal.target,
            entry.before.clone(),
            entry.after.clone(),
            personal.ip,
            personal.user_agent,
            hex::encode(&entry.digest),
        ];
        let line = fields.map(|field| cell(&field).into_owned()).join(",");
        let _ = write!(out, "{line}\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_in_words() {
        let lines =
            changes(r#"{"role":"member","same":1}"#, r#"{"role":"admin","same":1,"keys_disabled":2}"#, Viewer::ANYBODY);
        assert_eq!(lines, ["role: member → admin", "keys disabled: 2"]);
        assert_eq!(changes(r#"{"total":"5"}"#, r#"{"total":null}"#, Viewer::ANYBODY), ["total: $5.00 → none"]);
        let until = changes("", r#"{"until":"2026-11-30T03:56:05.561436Z"}"#, Viewer::ANYBODY);
        assert_eq!(until, ["until: 30 Nov 2026, 03:56 UTC"]);
        assert!(changes("", "", Viewer::ANYBODY).is_empty());
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let query = |action: &str, person: &str, from: &str| AuditQuery {
            action: action.into(),
            person: person.into(),
            from: from.into(),
            ..AuditQuery::default()
        };
        assert!(query("member", "", "2026-11-22").filter(Tz::UTC).is_ok());
        assert!(query("member.removed", "", "").filter(Tz::UTC).is_ok());
        for bad in [query("odd", "", ""), query("", "usr_1", ""), query("", "", "yesterday")] {
            assert!(bad.filter(Tz::UTC).is_err());
        }
        assert_eq!(query("key", "", "").address("/x", "7", ""), "/x?action=key&before=7");
    }
}
