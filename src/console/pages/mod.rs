//! The pages of the console.

use actix_web::HttpResponse;
use actix_web::http::header;
use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use sqlx::PgConnection;

use super::act;
use super::extract::Staff;
use crate::accounts::operator;
use crate::activity::of_our_time;
use crate::base::ids::ActId;
use crate::base::paging::Rows;
use crate::web::views::blocks::{ActionLink, Block, Form, Input};
use crate::web::views::console::{ConsoleShell, Page};
use crate::web::views::{Choice, Pager};
use crate::web::{App, PageError, flash, html, unprocessable};

pub mod adjustments;
mod alerts;
pub mod announcements;
pub mod books;
pub mod calls;
pub mod catalog;
pub mod closes;
pub mod codes;
pub mod confirmations;
pub mod exports;
pub mod fees;
pub mod find;
pub mod freezing;
pub mod holds;
pub mod inbox;
pub mod journal;
pub mod log;
pub mod look;
pub mod mails;
pub mod margins;
pub mod orgs;
pub mod overview;
pub mod payments;
pub mod people;
pub mod price_lists;
mod second;
pub mod staff;
mod unread;
pub mod upstreams;
pub mod usage;
pub mod what_if;

/// Rows of a list.
const ROWS: u16 = 50;
/// A moment in an address: the same zone and precision as the database's.
const PLACE: &str = "%Y%m%dT%H%M%S%.6fZ";

fn page(shell: ConsoleShell, blocks: Vec<Block>) -> Result<HttpResponse, PageError> {
    html(&Page { shell, blocks, ..Page::default() })
}

fn page_with(
    shell: ConsoleShell,
    back: Option<(&str, &str)>,
    actions: Vec<ActionLink>,
    blocks: Vec<Block>,
) -> Result<HttpResponse, PageError> {
    let back = back.map(|(href, name)| (href.to_owned(), name.to_owned()));
    html(&Page { shell, back, actions, blocks })
}

/// After a change: go and look, with a sentence of what happened.
fn done(app: &App, to: &str, good: bool, text: &str) -> HttpResponse {
    flash::told(app, to, good, text)
}

/// The same form came again.
fn again(app: &App, to: &str) -> HttpResponse {
    done(app, to, true, "This was done already, and not done again.")
}

/// The same page again, with what was typed into one of its forms and what was wrong with it.
fn with_problem(
    shell: ConsoleShell,
    mut blocks: Vec<Block>,
    (id, typed): (&str, &[(&str, &str)]),
    problem: &str,
) -> Result<HttpResponse, PageError> {
    for block in &mut blocks {
        if let Block::Form(form) = block
            && form.id == id
        {
            form.refill(typed, problem);
        }
    }
    unprocessable(&Page { shell, blocks, ..Page::default() })
}

/// A form of the console: it carries its token, a number that makes it once, and asks for a reason.
fn form(staff: &Staff, id: &'static str, action: impl Into<String>, title: &str, button: &str) -> Form {
    Form {
        id,
        action: action.into(),
        title: title.to_owned(),
        button: button.to_owned(),
        csrf: staff.csrf.clone(),
        hidden: vec![("form", ActId::fresh().to_string())],
        ..Form::default()
    }
}

/// Why it is done. It is kept for good.
fn reason_field() -> Input {
    Input::of("text", "reason", "Reason")
        .required()
        .min(*act::REASON.start())
        .max(*act::REASON.end())
        .hint("Stands in the log for good. No names or addresses of people.")
}

/// Who could agree now to what somebody asks for, where that is nobody.
async fn alone_note(conn: &mut PgConnection, staff: &Staff) -> Result<&'static str, sqlx::Error> {
    let nobody = operator::confirmers(conn, staff.person().id).await? == 0;
    Ok(if nobody {
        "At present nobody else here can: there is no other operator, or only new ones, or ones whom you made alone. On the \
         server, “farebox credits grant”, “farebox codes create” and “farebox user operator” need nobody else, and stand in the \
         log."
    } else {
        ""
    })
}

/// How often codes of a batch can be used.
fn uses(per_code: i64, per_org: i64) -> String {
    let times = |count: i64| match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    };
    format!("each {}, an organization {}", times(per_code), times(per_org))
}

/// Choices of a filter, the first of which is everything.
fn choices(all: &str, known: &[(&str, &str)], chosen: &str) -> Vec<Choice> {
    let every = Choice::new("", all, "", chosen.is_empty());
    let each = known.iter().map(|(value, label)| Choice::new(value, label, "", *value == chosen));
    std::iter::once(every).chain(each).collect()
}

/// An address with the parts that say something.
fn address(path: &str, parts: &[(&str, &str)]) -> String {
    let parts: Vec<_> = parts.iter().filter(|(_, value)| !value.is_empty()).collect();
    match serde_urlencoded::to_string(parts) {
        Ok(query) if !query.is_empty() => format!("{path}?{query}"),
        _ => path.to_owned(),
    }
}

/// The pager of a list: `older` makes the address of what comes after its last row.
fn pager<T>(rows: &Rows<T>, newest: Option<String>, older: impl Fn(&T) -> String) -> Pager {
    Pager { older_href: rows.rows.last().filter(|_| rows.more).map(older), newest_href: newest, ..Pager::default() }
}

/// A place in a list by time.
fn place(at: DateTime<Utc>, id: uuid::Uuid) -> String {
    format!("{}_{}", at.format(PLACE), id.simple())
}

/// # Errors
/// `Invalid` for what no pager of ours wrote.
fn read_place(text: &str) -> Result<Option<(DateTime<Utc>, uuid::Uuid)>, PageError> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (at, id) = text.split_once('_')?;
        let at = chrono::NaiveDateTime::parse_from_str(at, PLACE).ok()?.and_utc();
        of_our_time(at.date_naive())?;
        Some((at, uuid::Uuid::try_parse(id).ok()?))
    };
    read().map(Some).ok_or_else(|| wrong("before"))
}

fn wrong(field: &str) -> PageError {
    PageError::Invalid(format!("In the address, the filter {field:?} cannot be read."))
}

/// Something in an address; `None` where there is nothing.
///
/// # Errors
/// `Invalid` for what cannot be read.
fn read_some<T: std::str::FromStr>(text: &str, field: &str) -> Result<Option<T>, PageError> {
    if text.is_empty() { Ok(None) } else { text.parse().map(Some).map_err(|_| wrong(field)) }
}

/// A day of UTC in an address; `None` where there is none.
///
/// # Errors
/// `Invalid` for what is no day.
fn read_day(text: &str, field: &str) -> Result<Option<NaiveDate>, PageError> {
    match read_some(text, field)? {
        Some(day) => of_our_time(day).map(Some).ok_or_else(|| wrong(field)),
        None => Ok(None),
    }
}

/// The moment before which something is asked: the end of a day of UTC, or a time of it such as `10:15` or `10:15:30`.
/// `None` where there is none.
///
/// # Errors
/// `Invalid` for what is no day or no time, and for a time without a day.
fn read_until(
    day: &str,
    time: &str,
    (day_field, time_field): (&str, &str),
) -> Result<Option<DateTime<Utc>>, PageError> {
    let day = read_day(day, day_field)?;
    if time.is_empty() {
        return Ok(day.map(crate::books::end_of));
    }
    let read = |format| NaiveTime::parse_from_str(time, format).ok();
    let time = read("%H:%M").or_else(|| read("%H:%M:%S")).ok_or_else(|| wrong(time_field))?;
    let day = day.ok_or_else(|| wrong(time_field))?;
    Ok(Some(day.and_time(time).and_utc()))
}

/// A thing that an address or a form names.
///
/// # Errors
/// `NotFound` for what is no name of it.
fn read_id<T: std::str::FromStr>(text: &str) -> Result<T, PageError> {
    text.parse().map_err(|_| PageError::NotFound)
}

/// A file to keep.
fn file(kind: &str, name: &str, body: impl Into<actix_web::web::Bytes>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind))
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_to_the_microsecond() {
        let at = DateTime::<Utc>::from_timestamp_micros(1_800_000_000_123_456).unwrap_or_default();
        let id = ActId::fresh().0;
        assert_eq!(read_place(&place(at, id)).ok().flatten(), Some((at, id)));
        assert!(read_place("yesterday").is_err() && read_place("20260101T000000.000000Z_x").is_err());
    }
}
