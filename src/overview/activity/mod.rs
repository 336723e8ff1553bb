//! The activity page: what was called, when, and what it cost. Its address says everything that it shows.

mod asked;
mod cards;
mod choices;
mod paper;

pub mod export;
pub mod kept;
pub mod saved;
pub mod sums;

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use self::asked::{Asked, GROUPS, Unread};
use self::cards::Figures;
use self::choices::Choices;
use super::call_again::Again;
use super::call_detail;
use super::call_rows::{call_row, keys_of, name_of};
use crate::activity::{self, Group, LogFilter, LogPage, MAX_NEW, Period, Retention};
use crate::base::Viewer;
use crate::base::ids::{CallId, PersonId};
use crate::base::money::thousands;
use crate::catalog::Shelf;
use crate::orgs::{Member, Permission};
use crate::vault::Vault;
use crate::web::present::when;
use crate::web::views::activity as views;
use crate::web::views::{Field, Link, Pager};
use crate::web::{App, PageError, html, unprocessable};
use crate::{keys, privacy};

const ROWS: u16 = 50;

/// `GET /activity`
///
/// # Errors
/// `Invalid` for an address that nobody can have typed into the fields, and database errors.
pub async fn index(
    app: web::Data<App>,
    retention: web::Data<Retention>,
    member: Member,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let person = member.person();
    let (mut asked, unread) = Asked::of_fields(request.query_string(), person.viewer())?;
    let own = member.calls_of();
    asked.within(own);
    let (now, viewer, org) = (app.clock.now(), asked.viewer, member.org_id());
    let shell = member.shell("activity", "Activity", "Every call, what it cost, and where the credits went.");
    let mut conn = member.tenant(&app).await?;
    let kept = activity::closed_until(&mut conn, org).await?;
    if !activity::any_calls(&mut conn, org, own).await? {
        return html(&views::Index { shell, ..views::Index::default() });
    }
    let choices = Choices::load(&mut conn, org, &asked, asked.range.buckets(now, viewer.zone).span(), own).await?;
    let views = activity::views(&mut conn, org, person.id).await?;
    let own_days = activity::own_days(&mut conn, org).await?;
    let frame = views::Index {
        saved: choices::saved(&views, &asked),
        kept: kept_words(retention.with(own_days), kept, viewer),
        ..frame(&member, &asked, &choices, now)
    };
    if !unread.is_empty() {
        return unprocessable(&refused(views::Index { shell, ..frame }, &unread));
    }
    let shown = asked.shown(own, now);
    let figures = Figures::load(&mut conn, org, &asked, &shown, now, kept).await?;
    let page = activity::log(&mut conn, org, &shown, ROWS).await?;
    let mut names = keys::labels(&mut conn, org, own, &keys_of(&page.rows)).await?;
    names.extend(choices.key_names());
    let mut members = choices.members();
    let people: Vec<PersonId> = page.rows.iter().filter_map(|row| row.member).collect();
    if asked.has("member") && own.is_none() {
        members.extend(keys::makers(&mut conn, org, &people).await?);
    }
    let cards = cards::cards(&mut conn, org, &asked, &figures, &names).await?;
    html(&views::Index {
        range: figures.words(&asked),
        before: figures.before_words(&asked),
        compare_href: toggled(&asked),
        compare: asked.compare,
        updated: when(now, now, viewer),
        cards,
        apart: apart(&asked, &figures),
        sums_href: asked.part("sums", &[]),
        any_data: figures.totals().requests > 0,
        chips: choices::chips(&asked, &names, &members),
        calls: page.rows.iter().map(|row| call_row(row, &names, &members, now, viewer)).collect(),
        pager: pager(&asked, &page, &figures),
        searched: page.searched_to.map(|at| viewer.moment_in_zone(at)),
        live_href: live(&asked, &page, now),
        csv_href: asked.part("export", &[("format", "csv")]),
        json_href: asked.part("export", &[("format", "jsonl")]),
        pdf_href: asked.part("export", &[("format", "pdf")]),
        shell,
        ..frame
    })
}

/// What stands around figures and calls: what is chosen, and the ways to other views of them.
fn frame(member: &Member, asked: &Asked, choices: &Choices, now: DateTime<Utc>) -> views::Index {
    let own = member.calls_of();
    let (from, to) = chosen(asked, now);
    let last = if asked::moment_kind(&to) == "date" { "To, this day included" } else { "To" };
    views::Index {
        any_calls: true,
        periods: period_links(asked, now),
        groups: group_links(asked, own),
        keep: pairs(asked.view_pairs(), &["tz", "col"]),
        range_keep: pairs([asked.view_pairs(), asked.filter.pairs()].concat(), &["period", "from", "to"]),
        custom: asked.period.is_none(),
        hours_href: with_hours(asked).unwrap_or_default(),
        chosen: views::Stretch {
            from_label: format!("From, in {}", asked.viewer.zone.name()),
            to_label: last.to_owned(),
            from_kind: asked::moment_kind(&from),
            to_kind: asked::moment_kind(&to),
            from: Field::of(from),
            to: Field::of(to),
        },
        zones: choices::zones(asked, member.person().viewer().zone.name()),
        filters: choices.fields(asked),
        columns: choices::columns(asked, own),
        shown: asked.columns.iter().map(|column| (*column).to_owned()).collect(),
        chips: choices::chips(asked, &choices.key_names(), &choices.members()),
        clear_href: asked.with(LogFilter::default()),
        here: asked.query(),
        may_keep: member.may(Permission::ManageSettings),
        ..views::Index::default()
    }
}

/// The page with what was typed and an error at each field that cannot be read. Nothing was looked for.
fn refused(mut page: views::Index, unread: &[Unread]) -> views::Index {
    page.refused = true;
    for one in unread {
        let wrong = Field::wrong(one.value.as_str(), one.told.as_str());
        match one.field {
            "from" => page.chosen.from = wrong,
            "to" => page.chosen.to = wrong,
            "min" => page.filters.min = wrong,
            "max" => page.filters.max = wrong,
            "id" => page.filters.id = wrong,
            _ => page.filters.asked = wrong,
        }
        page.filters.more |= !matches!(one.field, "from" | "to");
    }
    page
}

/// The same stretch from its first hour to its last, for whoever wants other hours; `None` where it has hours already.
fn with_hours(asked: &Asked) -> Option<String> {
    let day = |text: &str| text.parse::<NaiveDate>().ok();
    let (from, to) = (day(&asked.typed.0)?, day(&asked.typed.1)?.checked_add_days(Days::new(1))?);
    let typed = (format!("{from}T00:00"), format!("{to}T00:00"));
    asked.period.is_none().then(|| Asked { typed, ..asked.clone() }.here())
}

/// Hidden fields of a form that keeps what it does not change.
fn pairs(all: Vec<(&'static str, String)>, without: &[&str]) -> Vec<(String, String)> {
    let kept = all.into_iter().filter(|(name, _)| !without.contains(name));
    kept.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What the list is narrowed by and the charts are not, where they are from the sums per hour.
fn apart(asked: &Asked, figures: &Figures) -> String {
    if figures.exact {
        return String::new();
    }
    format!(
        "Figures and charts count all calls of this time, also those that the filter on {} leaves out: there are too many \
         to go through for each look. The list and its exports follow it.",
        asked.filter.beyond_sums().join(" and ")
    )
}

fn kept_words(days: Option<u16>, closed: Option<DateTime<Utc>>, viewer: Viewer) -> String {
    let gone = closed.map(|at| format!(" Calls before {} are deleted.", viewer.day_in_zone(at))).unwrap_or_default();
    match days {
        Some(days) => format!("Calls are kept for {days} days, their sums for ever.{gone}"),
        None => format!("Calls are kept for ever.{gone}"),
    }
}

fn period_links(asked: &Asked, now: DateTime<Utc>) -> Vec<Link> {
    let label = |period| match period {
        Period::Hour => "1 h",
        Period::Day => "24 h",
        Period::Week => "7 d",
        Period::ThirtyDays => "30 d",
        Period::Month => "Month",
    };
    let link = |period: &Period| {
        let other = Asked { period: Some(*period), ..asked.clone() };
        Link { href: other.here(), label: label(*period).to_owned(), current: asked.period == Some(*period) }
    };
    let mut links: Vec<Link> = Period::ALL.iter().map(link).collect();
    let (from, to) = chosen(asked, now);
    let custom = Asked { period: None, typed: (from, to), ..asked.clone() };
    links.push(Link { href: custom.here(), label: "Custom".to_owned(), current: asked.period.is_none() });
    links
}

/// What the fields of a stretch hold: what was typed, or the days of the period that is shown.
fn chosen(asked: &Asked, now: DateTime<Utc>) -> (String, String) {
    if asked.period.is_none() {
        return asked.typed.clone();
    }
    let (span, zone) = (asked.range.buckets(now, asked.viewer.zone).span(), asked.viewer.zone);
    let day = |at: DateTime<Utc>| at.with_timezone(&zone).date_naive().to_string();
    (day(span.from), day((span.to - TimeDelta::seconds(1)).min(now)))
}

fn toggled(asked: &Asked) -> String {
    Asked { compare: !asked.compare, ..asked.clone() }.here()
}

fn group_links(asked: &Asked, own: Option<PersonId>) -> Vec<Link> {
    let link = |group: Group| Link {
        href: Asked { group, ..asked.clone() }.here(),
        label: field_label(group.as_str()).to_owned(),
        current: group == asked.group,
    };
    GROUPS.into_iter().filter(|group| *group != Group::Member || own.is_none()).map(link).collect()
}

pub(super) fn field_label(field: &str) -> &'static str {
    match field {
        "model" => "Model",
        "asked" => "Model asked",
        "key" => "Key",
        "provider" => "Provider",
        "app" => "App",
        "member" => "Member",
        "finish" => "Finish",
        "own" => "Account",
        "min" => "Cost from",
        "max" => "Cost up to",
        "id" => "Call",
        _ => "Status",
    }
}

fn pager(asked: &Asked, page: &LogPage, figures: &Figures) -> Pager {
    let (shown, totals) = (page.rows.len(), figures.totals());
    // The sums know how many there are, so nobody counts the calls.
    let all = match asked.filter.status {
        _ if figures.exact => Some(totals.requests),
        Some("success") if (LogFilter { status: None, ..asked.filter.clone() }).is_slice() => {
            Some(totals.requests.saturating_sub(totals.failed))
        }
        _ => None,
    };
    let all = all.map(|all| format!(" of {}", thousands(&all.to_string()))).unwrap_or_default();
    Pager {
        older_href: page.next.map(|next| asked.older(next)),
        newest_href: asked.filter.before.map(|_| asked.here()),
        note: format!("{shown}{all} calls"),
        ..Pager::default()
    }
}

/// Where the page asks for new calls: at the top of a list that goes on growing.
fn live(asked: &Asked, page: &LogPage, now: DateTime<Utc>) -> Option<String> {
    let grows = asked.filter.before.is_none() && asked.period.is_some() && asked.filter.id.is_none();
    let newest = page.rows.first().map_or_else(|| CallId::floor(now), |row| row.call);
    grows.then(|| asked.part("new", &[("after", &newest.to_string())]))
}

/// `GET /activity/new?after=`: how many calls that fit are newer than one, as a piece of the page.
///
/// # Errors
/// `Invalid` for an address that cannot be read, and database errors.
pub async fn newer(app: web::Data<App>, member: Member, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let pairs = asked::pairs(request.query_string());
    let mut asked = Asked::of(&pairs, member.person().viewer())?;
    let own = member.calls_of();
    asked.within(own);
    let after = asked::word(&pairs, "after").parse::<CallId>().ok().unwrap_or(CallId::floor(app.clock.now()));
    let mut conn = member.tenant(&app).await?;
    let filter = LogFilter { member: own.or(asked.filter.member), ..asked.filter.clone() };
    let count = activity::count_newer(&mut conn, member.org_id(), &filter, after).await?;
    let text = match count {
        0 => String::new(),
        1 => "1 new call".to_owned(),
        count if count > MAX_NEW => format!("More than {MAX_NEW} new calls"),
        count => format!("{count} new calls"),
    };
    html(&views::Newer { text, href: format!("{}#log", asked.here()) })
}

/// `GET /activity/{call}`: a page, or with `HX-Request` its inner part for the drawer.
///
/// # Errors
/// `NotFound` for a call that is not this organization's.
pub async fn show(
    app: web::Data<App>,
    vault: web::Data<Vault>,
    shelf: web::Data<Shelf>,
    member: Member,
    id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, PageError> {
    let id: CallId = id.parse().map_err(|_| PageError::NotFound)?;
    let mut conn = member.tenant(&app).await?;
    let detail = activity::detail(&mut conn, member.org_id(), id).await?;
    let own = member.calls_of();
    let detail = detail.filter(|call| own.is_none() || call.member == own).ok_or(PageError::NotFound)?;
    let names = keys::labels(&mut conn, member.org_id(), own, &[detail.key]).await?;
    let makers = match detail.member {
        Some(person) => keys::makers(&mut conn, member.org_id(), &[person]).await?,
        None => HashMap::new(),
    };
    let maker = detail.member.and_then(|person| makers.get(&person).cloned());
    let title = if detail.model.is_empty() { &detail.model_asked } else { &detail.model };
    let title = format!("Call to {title}");
    let key = name_of(&names, detail.key);
    let viewer = member.person().viewer();
    // Who handles the money sees what was called, and not what was said; nor does an operator who looks.
    let may_read =
        !member.only_looks() && (detail.member == Some(member.person().id) || member.may(Permission::ManageSettings));
    let read = match may_read {
        true => privacy::read(&mut conn, &vault, member.org_id(), id).await,
        false => Ok(None),
    };
    let again = Again::of(&detail, &shelf.current(), read.as_ref().ok().and_then(Option::as_ref));
    let (curl, curl_note) = (again.command(&app.url("/api/v1")), again.note().to_owned());
    let texts = call_detail::texts(read, viewer)?;
    let view = call_detail::view(&detail, (key, maker), app.clock.now(), viewer);
    let call = views::CallView { texts, curl, curl_note, ..view };
    if request.headers().contains_key("hx-request") {
        return html(&views::CallPart { title, href: format!("/activity/{id}"), call });
    }
    html(&views::Show { shell: member.shell("activity", &title, ""), call })
}
