//! The summary of the page as a PDF: sums by the chosen group, by model and by day.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::header;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::asked::Asked;
use super::cards::{Figures, series_name};
use super::{choices, field_label};
use crate::activity::{self, Group, Metric, Totals, Unit};
use crate::base::Usd;
use crate::base::ids::{KeyId, PersonId};
use crate::base::money::thousands;
use crate::keys;
use crate::orgs::Member;
use crate::overview::charts::{draw, range};
use crate::paper::{self, Block, PaperError, Row, Sheet};
use crate::web::{App, PageError};

/// # Errors
/// `Invalid` where the fonts lack a letter, and database errors.
pub async fn summary(app: &App, member: &Member, asked: &Asked) -> Result<HttpResponse, PageError> {
    let (now, own, org) = (app.clock.now(), member.calls_of(), member.org_id());
    let mut conn = member.tenant(app).await?;
    let kept = activity::closed_until(&mut conn, org).await?;
    let slice = asked.shown(own, now).slice();
    let figures = Figures::load(&mut conn, org, asked, &slice, now, kept).await?;
    let span = figures.now.buckets.span();
    let mut groups = vec![asked.group];
    groups.extend((asked.group != Group::Model).then_some(Group::Model));
    let mut tables = Vec::new();
    for group in groups {
        let sums = activity::spent_by(&mut conn, org, span, &slice, group).await?;
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
        tables.push((format!("Spend by {}", field_label(group.as_str()).to_lowercase()), rows));
    }
    let filter_keys: Vec<KeyId> = asked.filter.key.into_iter().collect();
    let key_names = keys::labels(&mut conn, org, own, &filter_keys).await?;
    let filter_people: Vec<PersonId> = asked.filter.member.into_iter().collect();
    let people = keys::makers(&mut conn, org, &filter_people).await?;
    drop(conn);
    let mut facts = vec![
        ("Organization".to_owned(), member.org.name.clone()),
        ("Time".to_owned(), range(&figures.now.buckets, asked.viewer)),
        ("Made".to_owned(), asked.viewer.moment_in_zone(now)),
    ];
    facts.extend(choices::chips(asked, &key_names, &people).into_iter().map(|chip| (chip.label, chip.value)));
    facts.extend(figures_of(&figures.totals()));
    let sheet = sheet(now, facts, tables, by_time(&figures, asked), figures.totals(), asked.filter.is_slice());
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
    vec![
        ("Requests".to_owned(), number(totals.requests)),
        ("Did not succeed".to_owned(), number(totals.failed)),
        ("Input tokens".to_owned(), number(totals.prompt_tokens)),
        ("Output tokens".to_owned(), number(totals.completion_tokens)),
        ("Spend".to_owned(), totals.cost.display_exact()),
    ]
}

fn by_time(figures: &Figures, asked: &Asked) -> (String, Vec<(String, Usd)>) {
    let chart = figures.now.chart(Metric::Spend);
    let labels = draw(&chart, asked.group, asked.viewer, None, str::to_owned).rows;
    let values = figures.now.values(Metric::Spend).into_iter().map(Usd::new);
    let unit = match figures.now.buckets.unit {
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
    is_slice: bool,
) -> Sheet {
    let row = |what: String, amount: Usd| Row { what, how_much: amount.display_exact(), is_sum: false };
    let sum = || Row { what: "All".to_owned(), how_much: totals.cost.display_exact(), is_sum: true };
    let mut blocks = vec![Block::Heading("Activity".to_owned()), Block::Facts(facts)];
    let mut table = |title: String, mut rows: Vec<Row>| {
        rows.push(sum());
        blocks.extend([Block::Note(title), Block::Table(rows)]);
    };
    for (title, rows) in tables {
        let listed: Usd = rows.iter().map(|(_, totals)| totals.cost).sum();
        let rest = totals.cost - listed;
        let mut rows: Vec<Row> = rows
            .into_iter()
            .map(|(name, totals)| {
                let requests = thousands(&totals.requests.to_string());
                row(format!("{name} ({requests} requests)"), totals.cost)
            })
            .collect();
        // A list of a hundred says what the others came to.
        rows.extend((!rest.is_zero()).then(|| row("Others".to_owned(), rest)));
        table(title, rows);
    }
    table(time_title, time.into_iter().map(|(label, amount)| row(label, amount)).collect());
    if !is_slice {
        let told = "Sums do not follow the filters on status, cost, id and the model asked for.";
        blocks.push(Block::Note(told.to_owned()));
    }
    Sheet { title: "Activity".to_owned(), made_at: now, blocks }
}
