//! Admission against the rules, computed a second time: on any state of a balance and its meters a call is admitted
//! exactly if it fits, and of many at once never more than fit.

use std::time::Duration;

use farebox::base::Usd;
use farebox::base::ids::CallId;
use farebox::gateway;
use farebox::ledger::{self, Byok, Refused, Want};
use futures_util::future::join_all;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;

use super::calls::{Tenant, desk, usd};
use super::support::calendar;
use super::support::size::scale;

const TTL: Duration = Duration::from_secs(900);

fn cents(draw: &mut SmallRng, below: i64) -> Usd {
    Usd::from_cents(draw.random_range(0..below))
}

/// Puts a meter into any state that it may have, windows of the past included.
async fn shake_meter(pool: &PgPool, tenant: &Tenant, meter: uuid::Uuid, draw: &mut SmallRng) {
    for column in ["total", "day", "week", "month"] {
        let limit = draw.random_bool(0.4).then(|| cents(draw, 30));
        let statement = format!(
            "update meter set limit_{column} = $3, spent_{column} = $4, byok_{column} = $5 where org_id = $1 and id = $2"
        );
        sqlx::query(sqlx::AssertSqlSafe(statement))
            .bind(tenant.org.0)
            .bind(meter)
            .bind(limit)
            .bind(cents(draw, 15))
            .bind(cents(draw, 8))
            .execute(pool)
            .await
            .expect("limits");
    }
    sqlx::query(
        "update meter set held = $3, include_byok = $4,
            day = (now() at time zone 'utc')::date - $5,
            week = date_trunc('week', now() at time zone 'utc')::date - 7 * $6,
            month = date_trunc('month', (now() at time zone 'utc') - make_interval(months => $7))::date
         where org_id = $1 and id = $2",
    )
    .bind(tenant.org.0)
    .bind(meter)
    .bind(cents(draw, 8))
    .bind(draw.random_bool(0.5))
    .bind(draw.random_range(0..2_i32))
    .bind(draw.random_range(0..2_i32))
    .bind(draw.random_range(0..2_i32))
    .execute(pool)
    .await
    .expect("windows");
}

/// What the rules leave for one more call; below zero nothing runs.
async fn left(pool: &PgPool, tenant: &Tenant) -> Usd {
    let mut conn = pool.acquire().await.expect("a connection");
    let credit = ledger::credit_state(&mut conn, tenant.org).await.expect("a balance");
    if credit.posted.is_negative() {
        return usd("-1");
    }
    let meters = [tenant.key_meter, tenant.member_meter];
    let states = ledger::meter_states(&mut conn, tenant.org, &meters).await.expect("meters");
    let limits = states.iter().filter_map(|meter| meter.tightest(meter.held)).map(|(_, left)| left);
    limits.fold(credit.posted - credit.held, Usd::min)
}

fn want(tenant: &Tenant, amount: Usd) -> Want {
    let meters = vec![tenant.key_meter, tenant.member_meter];
    let (call, byok, memo) = (CallId::fresh(), Byok::default(), String::new());
    Want { call, org: tenant.org, meters, most: amount, least: amount, byok, memo }
}

pub async fn a_call_is_admitted_exactly_if_it_fits(pool: PgPool) {
    calendar::within_a_day().await;
    let tenant = Tenant::with_credits(&pool, "1").await;
    let desk = desk(&pool, TTL);
    // The same states in every run.
    let mut draw = SmallRng::seed_from_u64(20_261_123);
    let (mut admitted, mut refused) = (0_u32, 0_u32);
    for round in 0..scale(150_u32, 2_000) {
        for meter in [tenant.key_meter, tenant.member_meter] {
            shake_meter(&pool, &tenant, meter.0, &mut draw).await;
        }
        let posted = cents(&mut draw, 40) - cents(&mut draw, 5);
        sqlx::query("update credit set posted = $2, held = least(greatest($2, 0), $3) where org_id = $1")
            .bind(tenant.org.0)
            .bind(posted)
            .bind(cents(&mut draw, 10))
            .execute(&pool)
            .await
            .expect("a balance");
        let before = left(&pool, &tenant).await;
        // Several at once, so that batches of every size come up, in full or not.
        let wants: Vec<Want> = (0..draw.random_range(1..5)).map(|_| want(&tenant, cents(&mut draw, 8))).collect();
        let all: Usd = wants.iter().map(|want| want.most).fold(Usd::ZERO, |sum, most| sum + most);
        let smallest = wants.iter().map(|want| want.most).min().unwrap_or_default();
        let results = join_all(wants.into_iter().map(|want| desk.reserve(want))).await;
        let granted = results.iter().flatten().fold(Usd::ZERO, |sum, granted| sum + granted.amount);
        let through = results.iter().filter(|result| result.is_ok()).count();
        assert!(results.iter().all(|result| !matches!(result, Err(Refused::Unavailable | Refused::Unknown))));
        if all <= before {
            assert_eq!(through, results.len(), "round {round}: {all} fit into {before}");
        }
        if smallest > before {
            assert_eq!(through, 0, "round {round}: {smallest} do not fit into {before}");
        }
        assert!(through == 0 || granted <= before, "round {round}: {granted} were held of {before}");
        admitted += u32::try_from(through).unwrap_or_default();
        refused += u32::try_from(results.len() - through).unwrap_or_default();
    }
    assert!(admitted > 50 && refused > 50, "{admitted} admitted and {refused} refused show too little");
}

pub async fn a_clock_that_was_ahead_once_keeps_no_limit_for_good(pool: PgPool) {
    calendar::within_a_day().await;
    let tenant = Tenant::with_credits(&pool, "10").await;
    let key = tenant.key_meter.0;
    let ahead = "update meter set limit_day = 1, spent_day = 1, day = day + 2000, week = week + 2002,
            month = (month + interval '70 months')::date where org_id = $1 and id = $2";
    sqlx::query(ahead).bind(tenant.org.0).bind(key).execute(&pool).await.expect("a clock that is ahead");
    let pace = "insert into key_pace (org_id, key_id, minute, calls)
            values ($1, $2, date_trunc('minute', now()) + interval '5 years', 3)";
    sqlx::query(pace).bind(tenant.org.0).bind(tenant.key.0).execute(&pool).await.expect("a minute that is ahead");
    assert_eq!(gateway::sweep::turn_back(&pool).await.expect("turned"), 2);
    assert_eq!(gateway::sweep::turn_back(&pool).await.expect("turned"), 0);
    let now = "select (m.day = d.today and m.week = date_trunc('week', d.today)::date
                and m.month = date_trunc('month', d.today)::date and m.spent_day = 1
                and p.calls = 3 and p.minute between now() - interval '2 minutes' and now())
            from meter m, key_pace p, (select (now() at time zone 'utc')::date as today) d
            where m.org_id = $1 and m.id = $2 and p.key_id = $3";
    let now = sqlx::query_scalar::<_, bool>(now).bind(tenant.org.0).bind(key).bind(tenant.key.0);
    assert!(now.fetch_one(&pool).await.expect("a row"), "what was spent stays, in the windows of now");
    // Today's limit holds, and the next day has one of its own.
    let desk = desk(&pool, TTL);
    assert!(desk.reserve(want(&tenant, usd("0.5"))).await.is_err());
    let passes = "update meter set day = day - 1 where org_id = $1 and id = $2";
    sqlx::query(passes).bind(tenant.org.0).bind(key).execute(&pool).await.expect("a day passes");
    assert!(desk.reserve(want(&tenant, usd("0.5"))).await.is_ok());
}
