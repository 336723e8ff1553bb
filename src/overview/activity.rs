//! The activity log: what was called, when, and what it cost.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::call_detail;
use super::call_rows::{KeyNames, call_row, keys_of, name_of};
use super::charts::{compact, draw, range, total};
use crate::activity::{self, Chart, Group, LogFilter, MAX_COUNTED, Metric, Period, STATUSES, Slice, Totals};
use crate::base::ids::{CallId, KeyId, OrgId, PersonId};
use crate::base::money::thousands;
use crate::base::paging::Rows;
use crate::base::{Usd, Viewer};
use crate::orgs::{Member, Permission};
use crate::vault::Vault;
use crate::web::present::when;
use crate::web::views::activity::{self as views, Show};
use crate::web::views::chart::Palette;
use crate::web::views::{Chip, Choice, Link, Pager};
use crate::web::{App, PageError, html};
use crate::{keys, privacy};

const ROWS: u16 = 50;
const GROUPS: [Group; 5] = [Group::Model, Group::Key, Group::Provider, Group::App, Group::Member];

/// What the address asks for.
struct Asked {
    period: Period,
    group: Group,
    filter: LogFilter,
}

impl Asked {
    fn parse(query: &str) -> Result<Asked, PageError> {
        let pairs: HashMap<String, String> = serde_urlencoded::from_str(query).unwrap_or_default();
        let word = |name: &str| pairs.get(name).map(String::as_str).unwrap_or_default();
        let filter =
            LogFilter::parse(query).map_err(|error| PageError::Invalid(format!("In the address, {error}.")))?;
        Ok(Asked {
            period: Period::parse(word("period")).unwrap_or(Period::Week),
            group: Group::parse(word("group")).unwrap_or(Group::Model),
            // The period alone says which time is shown, so that charts, sums and rows are of the same calls.
            filter: LogFilter { from: None, to: None, id: None, ..filter },
        })
    }

    fn address(&self, period: Period, group: Group, rest: &str) -> String {
        let mut address = format!("/activity?period={}&group={}", period.as_str(), group.as_str());
        if !rest.is_empty() {
            address.push('&');
            address.push_str(rest);
        }
        address
    }

    fn here(&self, rest: &str) -> String {
        self.address(self.period, self.group, rest)
    }
}

/// `GET /activity`
///
/// # Errors
/// `Invalid` for a filter that cannot be read, and database errors.
pub async fn index(app: web::Data<App>, member: Member, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let mut asked = Asked::parse(request.query_string())?;
    let own = member.calls_of();
    if own.is_some() {
        // Whoever sees only their own calls asks for nobody else's.
        asked.filter.member = None;
    }
    let (now, viewer, org) = (app.clock.now(), member.person().viewer(), member.org_id());
    let shell = member.shell("activity", "Activity", "Every call, what it cost, and where the credits went.");
    let mut conn = member.tenant(&app).await?;
    if activity::log(&mut conn, org, &LogFilter { member: own, ..LogFilter::default() }, 1).await?.rows.is_empty() {
        return html(&views::Index { shell, ..views::Index::default() });
    }
    let span = activity::period_span(asked.period, now, viewer.zone);
    let bounded = LogFilter { member: own.or(asked.filter.member), ..asked.filter.clone() };
    let shown = LogFilter { from: Some(span.from), ..bounded.clone() };
    let rows = activity::log(&mut conn, org, &shown, ROWS).await?;
    let all = activity::count(&mut conn, org, &LogFilter { before: None, ..shown }).await?;
    let choices = Choices::load(&mut conn, org, &bounded, now, viewer.zone).await?;
    let mut names = keys::labels(&mut conn, org, own, &keys_of(&rows.rows)).await?;
    names.extend(choices.keys.iter().cloned());
    let cards = cards(&mut conn, org, (&asked, &bounded.slice()), &names, now, viewer).await?;
    html(&views::Index {
        shell,
        any_calls: true,
        periods: period_links(&asked),
        groups: group_links(&asked),
        period: asked.period.as_str().to_owned(),
        group: asked.group.as_str().to_owned(),
        range: range_words(&asked, now, viewer),
        updated: when(now, now, viewer),
        cards,
        models: choices.models(&asked.filter),
        keys: choices.keys(&asked.filter),
        statuses: status_choices(&asked.filter),
        chips: chips(&asked, &names),
        clear_href: asked.here(""),
        calls: rows.rows.iter().map(|row| call_row(row, &names, now, viewer)).collect(),
        pager: pager(&asked, &rows, all),
    })
}

fn range_words(asked: &Asked, now: DateTime<Utc>, viewer: Viewer) -> String {
    let range = range(&activity::edges(asked.period, now, viewer.zone), asked.period, viewer);
    if asked.filter.status.is_none() { range } else { format!("{range} Charts and sums count calls of every status.") }
}

fn period_links(asked: &Asked) -> Vec<Link> {
    let label = |period| match period {
        Period::Hour => "1 h",
        Period::Day => "24 h",
        Period::Week => "7 d",
        Period::ThirtyDays => "30 d",
        Period::Month => "Month",
    };
    let link = |period: &Period| Link {
        href: asked.address(*period, asked.group, &asked.filter.query()),
        label: label(*period).to_owned(),
        current: *period == asked.period,
    };
    Period::ALL.iter().map(link).collect()
}

fn group_links(asked: &Asked) -> Vec<Link> {
    let link = |group: Group| Link {
        href: asked.address(asked.period, group, &asked.filter.query()),
        label: field_label(group.as_str()).to_owned(),
        current: group == asked.group,
    };
    GROUPS.map(link).to_vec()
}

fn field_label(field: &str) -> &'static str {
    match field {
        "model" => "Model",
        "key" => "Key",
        "provider" => "Provider",
        "app" => "App",
        "member" => "Member",
        _ => "Status",
    }
}

fn chips(asked: &Asked, names: &KeyNames) -> Vec<Chip> {
    let chip = |(field, value): (&'static str, String)| Chip {
        label: field_label(field).to_owned(),
        value: value.parse().map_or(value, |key: KeyId| name_of(names, key)),
        remove_href: asked.here(&asked.filter.without(field)),
    };
    asked.filter.pairs().into_iter().map(chip).collect()
}

fn pager(asked: &Asked, rows: &Rows<activity::LogRow>, all: i64) -> Pager {
    let all = if all > MAX_COUNTED {
        format!("more than {}", thousands(&MAX_COUNTED.to_string()))
    } else {
        thousands(&all.to_string())
    };
    let older = rows.rows.last().filter(|_| rows.more).map(|last| asked.filter.older_than(last.call));
    Pager {
        older_href: older.map(|rest| asked.here(&rest)),
        newest_href: asked.filter.before.map(|_| asked.here(&asked.filter.query())),
        note: format!("{} of {all} calls", rows.rows.len()),
        ..Pager::default()
    }
}

/// What was called lately: the values that filters offer.
struct Choices {
    models: Vec<String>,
    keys: Vec<(KeyId, String)>,
}

impl Choices {
    async fn load(
        conn: &mut PgConnection,
        org: OrgId,
        filter: &LogFilter,
        now: DateTime<Utc>,
        zone: Tz,
    ) -> Result<Choices, sqlx::Error> {
        let span = activity::period_span(Period::ThirtyDays, now, zone);
        let slice = Slice { member: filter.member, ..Slice::default() };
        let models = activity::spent_by(conn, org, span, &slice, Group::Model).await?;
        let mut models: Vec<String> =
            models.into_iter().map(|(name, _)| name).filter(|name| !name.is_empty()).collect();
        models.extend(filter.model.clone());
        models.sort_unstable();
        models.dedup();
        let keys = activity::spent_by(conn, org, span, &slice, Group::Key).await?;
        let mut ids: Vec<KeyId> = keys.iter().filter_map(|(id, _)| Uuid::try_parse(id).ok().map(KeyId)).collect();
        ids.extend(filter.key);
        let mut keys: Vec<_> = keys::labels(conn, org, filter.member, &ids).await?.into_iter().collect();
        keys.sort_by_cached_key(|(id, name)| (name.to_lowercase(), *id));
        Ok(Choices { models, keys })
    }

    fn models(&self, filter: &LogFilter) -> Vec<Choice> {
        let all = Choice::new("", "All models", "", filter.model.is_none());
        let one = |name: &String| Choice::new(name, name, "", filter.model.as_ref() == Some(name));
        std::iter::once(all).chain(self.models.iter().map(one)).collect()
    }

    fn keys(&self, filter: &LogFilter) -> Vec<Choice> {
        let all = Choice::new("", "All keys", "", filter.key.is_none());
        let one = |(id, name): &(KeyId, String)| Choice::new(&id.to_string(), name, "", filter.key == Some(*id));
        std::iter::once(all).chain(self.keys.iter().map(one)).collect()
    }
}

fn status_choices(filter: &LogFilter) -> Vec<Choice> {
    let all = Choice::new("", "Any status", "", filter.status.is_none());
    let label = |status: &str| super::call_rows::status_badge(status, false).text;
    std::iter::once(all)
        .chain(STATUSES.map(|status| Choice::new(status, &label(status), "", filter.status == Some(status))))
        .collect()
}

async fn cards(
    conn: &mut PgConnection,
    org: OrgId,
    (asked, slice): (&Asked, &Slice),
    names: &KeyNames,
    now: DateTime<Utc>,
    viewer: Viewer,
) -> Result<Vec<views::ChartCard>, sqlx::Error> {
    let span = activity::period_span(asked.period, now, viewer.zone);
    let totals = activity::totals(conn, org, span, slice).await?;
    let mut charts = Vec::new();
    for metric in [Metric::Spend, Metric::Tokens, Metric::Requests] {
        charts.push(activity::chart(conn, org, (asked.period, asked.group, metric), slice, now, viewer.zone).await?);
    }
    let makers = match asked.group {
        Group::Member => keys::makers(conn, org, &people_of(&charts)).await?,
        _ => HashMap::new(),
    };
    let (mut cards, mut palette) = (Vec::new(), Palette::default());
    for chart in &charts {
        let (metric, title) = (chart.metric, measure_label(chart.metric));
        let mut drawn =
            draw(chart, (asked.period, asked.group), viewer, |name| series_name(asked.group, name, names, &makers));
        palette.paint(&mut drawn);
        cards.push(views::ChartCard {
            title: title.to_owned(),
            total: total(metric, chart.total),
            note: note(chart, &totals, asked.period),
            chart: drawn,
        });
    }
    Ok(cards)
}

fn measure_label(metric: Metric) -> &'static str {
    match metric {
        Metric::Spend => "Spend",
        Metric::Tokens => "Tokens",
        Metric::Requests => "Requests",
    }
}

/// The people who are series of their own in charts by member.
fn people_of(charts: &[Chart]) -> Vec<PersonId> {
    let names = charts.iter().flat_map(|chart| &chart.series).filter_map(|series| series.name.as_deref());
    names.filter_map(|name| Uuid::try_parse(name).ok().map(PersonId)).collect()
}

fn series_name(group: Group, name: &str, names: &KeyNames, makers: &HashMap<PersonId, String>) -> String {
    let id = || Uuid::try_parse(name).unwrap_or_default();
    match group {
        Group::Key => name_of(names, KeyId(id())),
        Group::Member => makers.get(&PersonId(id())).cloned().unwrap_or_else(|| "nobody here".to_owned()),
        _ if name.is_empty() => format!("no {}", group.as_str()),
        _ => name.to_owned(),
    }
}

fn note(chart: &Chart, totals: &Totals, period: Period) -> String {
    match chart.metric {
        Metric::Spend => per_day(chart, period).unwrap_or_default(),
        Metric::Tokens => format!("{} in, {} out", compact(totals.prompt_tokens), compact(totals.completion_tokens)),
        Metric::Requests if totals.failed == 0 => String::new(),
        Metric::Requests => format!("{} did not succeed", thousands(&totals.failed.to_string())),
    }
}

/// The average of a day, where it is at least a cent.
fn per_day(chart: &Chart, period: Period) -> Option<String> {
    if matches!(period, Period::Hour | Period::Day) {
        return None;
    }
    let days = u32::try_from(chart.edges.len().checked_sub(1)?).ok().filter(|days| *days > 0)?;
    let average = Usd::new(chart.total / Decimal::from(days)).to_cents();
    average.is_positive().then(|| format!("{} a day on average", average.display()))
}

/// `GET /activity/{call}`
///
/// # Errors
/// `NotFound` for a call that is not this organization's.
pub async fn show(
    app: web::Data<App>,
    vault: web::Data<Vault>,
    member: Member,
    id: web::Path<String>,
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
    let shell = member.shell("activity", &format!("Call to {title}"), "");
    let key = name_of(&names, detail.key);
    let viewer = member.person().viewer();
    // Who handles the money sees what was called, and not what was said.
    let may_read = detail.member == Some(member.person().id) || member.may(Permission::ManageSettings);
    let texts = match may_read {
        true => call_detail::texts(privacy::read(&mut conn, &vault, member.org_id(), id).await, viewer)?,
        false => None,
    };
    html(&Show { texts, ..call_detail::view(shell, &detail, key, maker, app.clock.now(), viewer) })
}
