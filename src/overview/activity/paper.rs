//! The summary of the page as a PDF: sums by the chosen group, by model and by day.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::asked::Asked;
use super::cards::{gone, gone_words, series_name};
use super::sums::{Added, add_up};
use super::{choices, field_label};
use crate::activity::{self, Buckets, Group, LogFilter, Measures, Metric, Totals, Unit};
use crate::base::Usd;
use crate::base::ids::{KeyId, PersonId};
use crate::base::money::thousands;
use crate::keys;
use crate::orgs::Member;
use crate::overview::charts::{draw, range};
use crate::paper::{self, Block, PaperError, Row, Sheet};
use crate::web::{App, PageError};

/// Rows of a table; one more says what the others came to.
const MAX_ROWS: usize = 100;

/// What the summary is of.
struct Sums {
    all: Measures,
    /// A table for the chosen group and, where that is another, for models.
    tables: Vec<(Group, Vec<(String, Totals)>)>,
    /// Calls before are deleted, and not in them.
    gone: Option<DateTime<Utc>>,
}

/// From the sums per hour; where they do not know a filter, from the calls themselves.
async fn sums(app: &App, member: &Member, asked: &Asked, now: DateTime<Utc>) -> Result<Sums, PageError> {
    let (org, shown) = (member.org_id(), asked.shown(member.calls_of(), now));
    let more = (asked.group != Group::Model).then_some(Group::Model);
    let mut buckets = asked.range.buckets(now, asked.viewer.zone);
    let kept = activity::closed_until(&mut *member.tenant(app).await?, org).await?;
    if !shown.is_slice() {
        let gone = gone(kept, buckets.span());
        let all = exact_sums(app, member, &shown, (buckets.clone(), asked.group), now).await?;
        let mut tables = vec![(asked.group, first_rows(&all))];
        if let Some(group) = more {
            let sums = exact_sums(app, member, &shown, (buckets, group), now).await?;
            tables.push((group, first_rows(&sums)));
        }
        return Ok(Sums { all, tables, gone });
    }
    let mut conn = member.tenant(app).await?;
    buckets.kept_since(kept);
    let (span, slice) = (buckets.span(), shown.slice());
    let mut tables = Vec::new();
    for group in [asked.group].into_iter().chain(more) {
        tables.push((group, activity::spent_by(&mut conn, org, span, &slice, group).await?));
    }
    let all = activity::measure(&mut conn, org, buckets, Some(asked.group), &slice).await?;
    Ok(Sums { all, tables, gone: None })
}

async fn exact_sums(
    app: &App,
    member: &Member,
    shown: &LogFilter,
    (buckets, group): (Buckets, Group),
    now: DateTime<Utc>,
) -> Result<Measures, PageError> {
    match add_up(app, member, shown, (buckets, Some(group)), now).await? {
        Added::All(sums) => Ok(sums),
        Added::Busy => {
            Err(PageError::Invalid("Other summaries are being made at the moment. Try again in a minute.".into()))
        }
        Added::Since(..) => Err(PageError::Invalid(format!(
            "With the filter on {} this summary goes through too many calls. Choose a shorter time, or take the CSV. Nothing \
             was exported.",
            shown.beyond_sums().join(" and ")
        ))),
    }
}

fn first_rows(measures: &Measures) -> Vec<(String, Totals)> {
    let mut rows = measures.by_name();
    rows.truncate(MAX_ROWS);
    rows
}

/// # Errors
/// `Invalid` where the fonts lack a letter, and where too many calls would have to be gone through; database errors.
pub async fn summary(app: &App, member: &Member, asked: &Asked) -> Result<HttpResponse, PageError> {
    let (now, own, org) = (app.clock.now(), member.calls_of(), member.org_id());
    let Sums { all, tables: sums, gone } = sums(app, member, asked, now).await?;
    let mut conn = member.tenant(app).await?;
    let mut tables = Vec::new();
    for (group, sums) in sums {
        let ids = || sums.iter().filter_map(|(name, _)| Uuid::try_parse(name).ok());
        let names = match group {
            Group::Key => keys::labels(&mut conn, org, own, &ids().map(KeyId).collect::<Vec<_>>()).await?,
            _ => HashMap::new(),
        };
        let makers = match group {
            Group::Member => keys::makers(&mut conn, org, &ids().map(PersonId).collect::<Vec<_>>()).await?,
            _ => HashMap::new(),
        };
        let rows = sums.iter().map(|(name, totals)| (series_name(group, name, &names, &makers), *totals)).collect();
        tables.push((field_label(group.as_str()).to_lowercase(), rows));
    }
    let filter_keys: Vec<KeyId> = asked.filter.key.into_iter().collect();
    let key_names = keys::labels(&mut conn, org, own, &filter_keys).await?;
    let filter_people: Vec<PersonId> = asked.filter.member.into_iter().collect();
    let people = keys::makers(&mut conn, org, &filter_people).await?;
    drop(conn);
    let mut facts = vec![
        ("Organization".to_owned(), member.org.name.clone()),
        ("Time".to_owned(), range(&all.buckets, asked.viewer)),
        ("Made".to_owned(), asked.viewer.moment_in_zone(now)),
    ];
    facts.extend(gone.map(|gone| ("Counted".to_owned(), gone_words(gone, asked.viewer))));
    facts.extend(choices::chips(asked, &key_names, &people).into_iter().map(|chip| (chip.label, chip.value)));
    facts.extend(figures_of(&all.totals()));
    let sheet = sheet(now, facts, tables, by_time(&all, asked), all.totals());
    let file = paper::pdf(&sheet).map_err(|error| match error {
        PaperError::NotCovered(_) | PaperError::TooLong => PageError::Invalid(
            "This summary has letters that our PDF cannot show, or too many lines. Print the page to a PDF, or take the CSV."
                .into(),
        ),
        PaperError::Font(_) => PageError::Internal(error.into()),
    })?;
    let name = format!("attachment; filename=\"farebox-activity-{}.pdf\"", now.format("%Y-%m-%d"));
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/pdf"))
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(file))
}

fn figures_of(totals: &Totals) -> Vec<(String, String)> {
    let number = |count: u64| thousands(&count.to_string());
    let own = (!totals.upstream_cost.is_zero()).then(|| totals.upstream_cost.display_exact());
    let own = own.map(|own| ("Billed to own accounts".to_owned(), own));
    let figures = [
        ("Requests".to_owned(), number(totals.requests)),
        ("Did not succeed".to_owned(), number(totals.failed)),
        ("Input tokens".to_owned(), number(totals.prompt_tokens)),
        ("Output tokens".to_owned(), number(totals.completion_tokens)),
        ("Spend".to_owned(), totals.cost.display_exact()),
    ];
    figures.into_iter().chain(own).collect()
}

fn by_time(all: &Measures, asked: &Asked) -> (String, Vec<(String, Usd)>) {
    let chart = all.chart(Metric::Spend);
    let labels = draw(&chart, asked.group, asked.viewer, None, str::to_owned).rows;
    let values = all.values(Metric::Spend).into_iter().map(Usd::new);
    let unit = match all.buckets.unit {
        Unit::Minute => "minute",
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Month => "month",
    };
    let rows = labels.into_iter().map(|row| row.label).zip(values).filter(|(_, value)| !value.is_zero());
    (format!("Spend by {unit}"), rows.collect())
}

fn sheet(
    now: DateTime<Utc>,
    facts: Vec<(String, String)>,
    tables: Vec<(String, Vec<(String, Totals)>)>,
    (time_title, time): (String, Vec<(String, Usd)>),
    totals: Totals,
) -> Sheet {
    let row = |what: String, amount: Usd| Row { what, how_much: amount.display_exact(), is_sum: false };
    let sum = |all: Usd| Row { what: "All".to_owned(), how_much: all.display_exact(), is_sum: true };
    let mut blocks = vec![Block::Heading("Activity".to_owned()), Block::Facts(facts)];
    let mut table = |title: String, mut rows: Vec<Row>, all: Usd| {
        rows.push(sum(all));
        blocks.extend([Block::Note(title), Block::Table(rows)]);
    };
    // A list of a hundred says what the others came to.
    let others = |rest: Usd| (!rest.is_zero()).then(|| row("Others".to_owned(), rest));
    for (group, sums) in tables {
        let mut rows: Vec<Row> = sums
            .iter()
            .map(|(name, totals)| {
                let requests = thousands(&totals.requests.to_string());
                row(format!("{name} ({requests} requests)"), totals.cost)
            })
            .collect();
        rows.extend(others(totals.cost - sums.iter().map(|(_, totals)| totals.cost).sum::<Usd>()));
        table(format!("Spend by {group}"), rows, totals.cost);
        if totals.upstream_cost.is_zero() {
            continue;
        }
        let own = || sums.iter().filter(|(_, totals)| !totals.upstream_cost.is_zero());
        let mut rows: Vec<Row> = own().map(|(name, totals)| row(name.clone(), totals.upstream_cost)).collect();
        rows.extend(others(totals.upstream_cost - own().map(|(_, totals)| totals.upstream_cost).sum::<Usd>()));
        table(format!("Billed to own accounts by {group}"), rows, totals.upstream_cost);
    }
    table(time_title, time.into_iter().map(|(label, amount)| row(label, amount)).collect(), totals.cost);
    Sheet { title: "Activity".to_owned(), made_at: now, blocks }
}
