//! The log, its sums and its charts, against the ledger.

use chrono::{DateTime, TimeDelta, Utc};
use farebox::activity::{self, Extra, Group, LogFilter, Metric, Period, PriceLine, Slice, Span, Units};
use farebox::base::Usd;
use farebox::gateway::Settler;
use farebox::gateway::spool::Spool;
use farebox::keys;
use rust_decimal::Decimal;
use sqlx::PgPool;
use tokio::runtime::Handle;

use super::calls::{Tenant, answered, assert_clean, now, refused, rows, usd};

/// Somebody with credits, and who settles their calls.
pub struct Lab {
    pub tenant: Tenant,
    pub settler: Settler,
    _dir: tempfile::TempDir,
}

impl Lab {
    pub async fn new(pool: &PgPool) -> Lab {
        Lab::of(pool, Tenant::with_credits(pool, "1000").await)
    }

    pub fn of(pool: &PgPool, tenant: Tenant) -> Lab {
        let dir = tempfile::tempdir().expect("a folder");
        let spool = Spool::open(dir.path()).expect("a spool");
        Lab { tenant, settler: Settler::start(&Handle::current(), pool.clone(), spool), _dir: dir }
    }

    pub async fn call(&self, at: DateTime<Utc>, model: &str, cost: &str) {
        let call = self.tenant.call_at(at);
        let mut ended = answered(cost);
        ended.model = model.into();
        self.settler.settle(call, usd(cost), ended).await;
    }
}

fn everything() -> Span {
    Span { from: at("2020-01-01T00:00:00Z"), to: at("2100-01-01T00:00:00Z") }
}

pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a time")
}

/// A call whose hold is gone is settled by itself, step by step; one from the spool of the version before has no quantities.
pub async fn quantities_stay_with_a_call_however_it_is_settled(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    let units = Units { images: 2, audio: 30, audio_output: 4, search: Some(0) };
    let (call, mut ended) = (lab.tenant.call(), answered("0.5"));
    ended.units = units;
    let written = serde_json::to_value(&ended).expect("JSON");
    assert_eq!(written["units"]["images"], 2);
    let read: farebox::gateway::Ended = serde_json::from_value(written.clone()).expect("as it was");
    assert_eq!(read.units, units);
    let mut old = written;
    old.as_object_mut().expect("an object").remove("units");
    assert!(serde_json::from_value::<farebox::gateway::Ended>(old).expect("of before").units.is_none());
    let id = call.id;
    lab.settler.settle(call, usd("0.5"), ended).await;
    let mut conn = pool.acquire().await.expect("a connection");
    let detail = activity::detail(&mut conn, lab.tenant.org, id).await.expect("a call").expect("it is there");
    assert_eq!(detail.extra, Extra { units, ..Extra::default() });
    assert_clean(&pool).await;
}

pub async fn pages_add_up_to_the_ledger(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    let now = now();
    for hours in 0..50 {
        for model in 0..12 {
            let cost = format!("0.0000{:02}000{model:03}", hours + 1);
            lab.call(now - TimeDelta::hours(hours), &format!("lab/m{model}"), &cost).await;
        }
    }
    let org = lab.tenant.org;
    let paid = usd("1000") - lab.tenant.posted(&pool).await;
    let mut conn = pool.acquire().await.expect("a connection");
    let totals = activity::totals(&mut conn, org, everything(), &Slice::default()).await.expect("sums");
    assert_eq!((totals.cost, totals.requests), (paid, 600));
    assert_eq!(activity::lifetime(&mut conn, org).await.expect("a sum"), paid);

    for period in [Period::Week, Period::ThirtyDays] {
        for (metric, total) in [
            (Metric::Spend, paid.amount()),
            (Metric::Requests, Decimal::from(600)),
            (Metric::Tokens, Decimal::from(600 * 120)),
        ] {
            let view = (period, Group::Model, metric);
            let chart = activity::chart(&mut conn, org, view, &Slice::default(), now, chrono_tz::Europe::Berlin)
                .await
                .expect("a chart");
            assert_eq!(chart.total, total, "{view:?}");
            assert_eq!(chart.series.len(), 9, "eight and the rest");
            assert_eq!(chart.series.last().map(|series| series.name.is_none()), Some(true));
            let cells: Decimal = chart.series.iter().flat_map(|series| &series.values).sum();
            assert_eq!(cells, total);
        }
    }
    let spent = activity::spent_by(&mut conn, org, everything(), &Slice::default(), Group::Model).await.expect("sums");
    assert_eq!(spent.len(), 12);
    assert_eq!(spent.iter().map(|(_, totals)| totals.cost).sum::<Usd>(), paid);

    // Half an hour off: nothing is lost or counted twice.
    let summary = activity::summary(&mut conn, org, now, chrono_tz::Asia::Kolkata, &Slice::default()).await;
    let summary = summary.expect("a summary");
    assert_eq!(summary.last_seven_days, paid);
    assert!(summary.today <= summary.last_seven_days);
    drop(conn);
    assert_clean(&pool).await;
}

pub async fn the_last_hour_is_shown_by_minute(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    let now = now();
    for minutes in [0, 5, 59, 61, 200] {
        lab.call(now - TimeDelta::minutes(minutes), "lab/m", "0.01").await;
    }
    let org = lab.tenant.org;
    let mut conn = pool.acquire().await.expect("a connection");
    let view = (Period::Hour, Group::Key, Metric::Spend);
    let chart = activity::chart(&mut conn, org, view, &Slice::default(), now, chrono_tz::UTC).await.expect("a chart");
    assert_eq!(chart.total, Decimal::new(3, 2));
    assert_eq!(chart.series[0].name, Some(lab.tenant.key.0.to_string()));
    assert_eq!(chart.series[0].values.len(), 60);
    assert_eq!(chart.series[0].values[59], Decimal::new(1, 2), "the running minute");
    let span = chart.span().expect("edges");
    let totals = activity::totals(&mut conn, org, span, &Slice::default()).await.expect("sums");
    assert_eq!(totals.cost.amount(), chart.total);
}

pub async fn the_log_pages_and_filters_within_its_organization(pool: PgPool) {
    let (lab, other) = (Lab::new(&pool).await, Lab::new(&pool).await);
    for at in 0..25 {
        lab.call(now(), if at % 5 == 0 { "lab/rare" } else { "lab/common" }, "0.01").await;
        other.call(now(), "lab/rare", "0.01").await;
    }
    lab.settler.reject(lab.tenant.call(), refused()).await;
    for _ in 0..100 {
        if rows(&pool, lab.tenant.org).await == 26 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let org = lab.tenant.org;
    let mut conn = pool.acquire().await.expect("a connection");
    let mut filter = LogFilter::default();
    let mut seen = Vec::new();
    loop {
        let page = activity::log(&mut conn, org, &filter, 10).await.expect("a page");
        seen.extend(page.rows.iter().map(|row| row.call));
        if !page.more {
            break;
        }
        filter = LogFilter::parse(&filter.older_than(*seen.last().expect("rows"))).expect("an address of our own");
    }
    assert_eq!(seen.len(), 26);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, each once");
    for (query, count) in [
        ("model=lab%2Frare", 5),
        ("status=rejected", 1),
        ("provider=sandbox&model=lab%2Fcommon", 20),
        ("app=Lab", 26),
        ("app=Else", 0),
        ("asked=sandbox%2Fecho&status=rejected", 1),
        ("model=sandbox%2Fecho", 0),
        ("min=0.01", 25),
        ("min=0.011", 0),
        ("max=0", 1),
        ("from=2100-01-01", 0),
    ] {
        let filter = LogFilter::parse(query).expect("a filter");
        let page = activity::log(&mut conn, org, &filter, 50).await.expect("a page");
        assert_eq!(page.rows.len(), count, "{query}");
    }
    let foreign = LogFilter { key: Some(other.tenant.key), ..LogFilter::default() };
    assert!(activity::log(&mut conn, org, &foreign, 50).await.expect("a page").rows.is_empty());
    assert!(activity::detail(&mut conn, other.tenant.org, seen[0]).await.expect("read").is_none());
    let names = keys::labels(&mut conn, org, None, &[lab.tenant.key, other.tenant.key]).await.expect("names");
    assert_eq!(names.len(), 1, "another organization's key has no name here");
    sqlx::query("delete from membership where org_id = $1").bind(org.0).execute(&mut *conn).await.expect("left");
    let people = [lab.tenant.person, other.tenant.person];
    let makers = keys::makers(&mut conn, org, &people).await.expect("names");
    assert_eq!(
        makers.into_keys().collect::<Vec<_>>(),
        [lab.tenant.person],
        "who left keeps a name; a stranger has none"
    );
}

pub async fn a_call_is_explained_line_by_line(pool: PgPool) {
    let lab = Lab::new(&pool).await;
    let file = farebox::catalog::CatalogFile::shipped().expect("the shipped catalog");
    let mut conn = pool.acquire().await.expect("a connection");
    farebox::catalog::apply(&mut conn, &file, farebox::catalog::Missing::Retire).await.expect("applied");
    let catalog = farebox::catalog::load(&mut conn).await.expect("loaded");
    let offer = catalog.model("sandbox/echo").and_then(|listed| listed.lead_offer()).expect("an offer");
    let mut ended = answered("0");
    let tokens = ended.tokens;
    let usage = farebox::catalog::Usage {
        prompt_tokens: tokens.prompt,
        completion_tokens: tokens.completion,
        cached_tokens: tokens.cached,
        reasoning_tokens: tokens.reasoning,
        requests: 1,
        ..farebox::catalog::Usage::default()
    };
    ended.price_version = Some(offer.price_version.0);
    ended.cost = farebox::catalog::cost(&usage, &offer.endpoint.price).expect("a cost").total;
    let (call, cost) = (lab.tenant.call(), ended.cost);
    assert!(cost.is_positive());
    lab.settler.settle(call.clone(), cost, ended.clone()).await;
    let dearer = lab.tenant.call();
    ended.cost += usd("0.5");
    lab.settler.settle(dearer.clone(), usd("1"), ended).await;

    let detail = activity::detail(&mut conn, lab.tenant.org, call.id).await.expect("read").expect("there");
    let lines = detail.price.expect("a price").lines;
    assert!(lines.iter().all(|line| matches!(line, PriceLine::Priced(_))), "{lines:?}");
    assert_eq!(lines.iter().map(PriceLine::amount).sum::<Usd>(), detail.cost);
    assert!(detail.transfer.is_some());
    let detail = activity::detail(&mut conn, lab.tenant.org, dearer.id).await.expect("read").expect("there");
    let lines = detail.price.expect("a price").lines;
    assert_eq!(lines.last(), Some(&PriceLine::Other(usd("0.5"))), "what the counts do not explain is said");
    assert_eq!(lines.iter().map(PriceLine::amount).sum::<Usd>(), detail.cost + detail.overrun);
}
