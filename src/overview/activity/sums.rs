//! What the calls that match come to, where that is too many to go through for each look at the page.

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use tokio::sync::Semaphore;

use super::asked::Asked;
use super::cards::{gone, gone_words};
use crate::activity::{self, Buckets, Group, LogFilter, Measures, Tally, Totals};
use crate::base::money::thousands;
use crate::orgs::Member;
use crate::web::views::Fact;
use crate::web::views::activity as views;
use crate::web::{App, PageError, html, to_the_end};

/// Additions that one process makes at a time, so that they leave the database to those who call.
const AT_ONCE: usize = 3;
/// Some millions of calls, where the database is not busy.
const MAX_TIME: Duration = Duration::from_secs(20);

static RUNNING: Semaphore = Semaphore::const_new(AT_ONCE);

/// How an addition ended.
pub enum Added {
    All(Measures),
    /// Its time was over: only calls since that moment are in it.
    Since(DateTime<Utc>, Measures),
    /// Others are being made.
    Busy,
}

/// Adds up what a filter lets through, piece by piece. Each piece is a transaction of its own.
///
/// # Errors
/// Database errors only.
pub async fn add_up(
    app: &App,
    member: &Member,
    filter: &LogFilter,
    (buckets, group): (Buckets, Option<Group>),
    now: DateTime<Utc>,
) -> Result<Added, PageError> {
    let Ok(_place) = RUNNING.try_acquire() else { return Ok(Added::Busy) };
    let began = Instant::now();
    let mut tally = Tally::new(member.org_id(), filter, buckets, group, now);
    loop {
        let mut conn = member.tenant(app).await?;
        if !tally.step(&mut conn).await? {
            return Ok(Added::All(tally.measures()));
        }
        if began.elapsed() > MAX_TIME {
            return Ok(Added::Since(tally.reached(), tally.measures()));
        }
    }
}

/// `GET /activity/sums`: of the address of the page; with `HX-Request` a piece of it, else a page.
///
/// # Errors
/// `Invalid` for an address that cannot be read, and database errors.
pub async fn show(app: web::Data<App>, member: Member, request: HttpRequest) -> Result<HttpResponse, PageError> {
    // Whoever leaves makes no room for others while the database still adds up.
    to_the_end::work(shown(app, member, request)).await?
}

async fn shown(app: web::Data<App>, member: Member, request: HttpRequest) -> Result<HttpResponse, PageError> {
    let mut asked = Asked::parse(request.query_string(), member.person().viewer())?;
    let own = member.calls_of();
    asked.within(own);
    let now = app.clock.now();
    let (shown, buckets) = (asked.shown(own, now), asked.range.buckets(now, asked.viewer.zone));
    let kept = activity::closed_until(&mut *member.tenant(&app).await?, member.org_id()).await?;
    let gone = gone(kept, buckets.span());
    let sums = match add_up(&app, &member, &shown, (buckets, None), now).await? {
        Added::All(measures) => views::Sums {
            partly: gone.map(|gone| gone_words(gone, asked.viewer)).unwrap_or_default(),
            ..told(&measures.totals())
        },
        Added::Since(since, measures) => views::Sums {
            partly: format!(
                "Only calls since {} were added up, for it takes too long. Choose a shorter time, or take the CSV, which \
                 has all of them.",
                asked.viewer.moment_in_zone(since)
            ),
            ..told(&measures.totals())
        },
        Added::Busy => views::Sums {
            text: format!("{AT_ONCE} others are being added up at the moment. Load the page again in a minute."),
            ..views::Sums::default()
        },
    };
    if request.headers().contains_key("hx-request") {
        return html(&sums);
    }
    let filters = asked.filter.beyond_sums().join(" and ");
    let about = if filters.is_empty() { String::new() } else { format!("By the filter on {filters}.") };
    let shell = member.shell("activity", "What the calls that match come to", &about);
    html(&views::SumsPage { shell, sums, back_href: asked.here() })
}

fn told(totals: &Totals) -> views::Sums {
    let number = |count: u64| thousands(&count.to_string());
    let fact = |label: &str, value: String| Fact { label: label.to_owned(), value, mono: false };
    let text = match totals.requests {
        0 => return views::Sums { text: "No calls match.".to_owned(), ..views::Sums::default() },
        1 => "1 call matches.".to_owned(),
        more => format!("{} calls match.", number(more)),
    };
    let mut facts = vec![fact("Spend", totals.cost.display_exact())];
    if !totals.upstream_cost.is_zero() {
        facts.push(fact("Own providers", totals.upstream_cost.display_exact()));
    }
    facts.push(fact(
        "Tokens in → out",
        format!("{} → {}", number(totals.prompt_tokens), number(totals.completion_tokens)),
    ));
    facts.push(fact("Did not succeed", number(totals.failed)));
    views::Sums { text, facts, partly: String::new() }
}
