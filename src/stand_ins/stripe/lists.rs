//! Lists: newest first, filtered, a page at a time.

use serde_json::{Value, json};

use super::books::Work;
use super::error::Refusal;
use super::form::Form;
use super::objects::{number, text};

const DEFAULT_LIMIT: i64 = 10;
/// Stripe gives at most so many at once.
const MAX_LIMIT: i64 = 100;
const PAGING: &[&str] = &["limit", "starting_after", "ending_before", "created"];

/// Which objects belong to a list.
pub struct Filter<'a> {
    /// Parameters that must be equal to the field of the same name, when they are sent.
    pub equal: &'a [&'a str],
    /// What must hold besides.
    pub also: &'a dyn Fn(&Value) -> bool,
}

/// The parameters that a list knows.
pub fn with_paging<'a>(own: &[&'a str]) -> Vec<&'a str> {
    PAGING.iter().chain(own).copied().collect()
}

/// A page of the objects of a kind.
pub fn list(work: &Work, form: &Form, kind: &str, url: &str, filter: &Filter) -> Result<Value, Refusal> {
    let limit = form.number("limit")?.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Refusal::invalid(format!("The limit is 1 to {MAX_LIMIT}.")).param("limit"));
    }
    let times = times(form)?;
    let mut found: Vec<&Value> = work
        .books
        .all(kind)
        .filter(|object| object["deleted"] != true)
        .filter(|object| {
            filter.equal.iter().all(|field| form.text(field).is_none_or(|want| text(object, field) == want))
        })
        .filter(|object| times.iter().all(|(holds, time)| holds(number(object, "created"), *time)))
        .filter(|object| (filter.also)(object))
        .collect();
    let place = |param: &str| match form.text(param) {
        None => Ok(None),
        Some(id) => found
            .iter()
            .position(|object| text(object, "id") == id)
            .map(Some)
            .ok_or_else(|| Refusal::no_such(kind, id, Some(param))),
    };
    let (after, before) = (place("starting_after")?, place("ending_before")?);
    let size = usize::try_from(limit).unwrap_or_default();
    let has_more = if let Some(end) = before {
        let start = end.saturating_sub(size);
        found = found[start..end].to_vec();
        start > 0
    } else {
        let start = after.map_or(0, |place| place + 1);
        let more = found.len() > start + size;
        found = found.into_iter().skip(start).take(size).collect();
        more
    };
    Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": found }))
}

type Holds = fn(i64, i64) -> bool;

/// The limits on when an object was made.
fn times(form: &Form) -> Result<Vec<(Holds, i64)>, Refusal> {
    let compare: [(&str, Holds); 4] = [
        ("gt", |at, time| at > time),
        ("gte", |at, time| at >= time),
        ("lt", |at, time| at < time),
        ("lte", |at, time| at <= time),
    ];
    let part = form.part("created");
    part.only(&["gt", "gte", "lt", "lte"])?;
    let mut times = Vec::new();
    for (name, holds) in compare {
        times.extend(part.number(name)?.map(|time| (holds, time)));
    }
    if let Some(time) = form.number("created")? {
        times.push((|at, time| at == time, time));
    }
    Ok(times)
}
