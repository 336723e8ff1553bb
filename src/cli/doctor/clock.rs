//! This machine's clock beside those of the database and of a server elsewhere.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::DATE;
use url::Url;

use super::{Finding, Patient, database, no_database, unasked};
use crate::db::moment;
use crate::outgoing::HttpClient;

/// Codes of authenticator apps and tokens of processors change every half minute to two minutes.
const BAD: TimeDelta = TimeDelta::seconds(30);
const NOTABLE: TimeDelta = TimeDelta::seconds(2);
/// Others are asked by name of their `Date`, which has whole seconds and may come from a cache.
const NOTABLE_ELSEWHERE: TimeDelta = TimeDelta::seconds(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Servers that are asked, at most, until one says its time.
const MAX_ASKED: usize = 3;
const ADVICE: &str = "keep every machine's clock with NTP (chrony, systemd-timesyncd)";

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    let (database, elsewhere) = tokio::join!(with_database(patient), with_others(patient));
    vec![database, elsewhere]
}

async fn with_database(patient: &Patient<'_>) -> Finding {
    const CHECK: &str = "database's clock";
    let Some(pool) = &patient.pool else { return no_database(CHECK) };
    let asked = async {
        let mut conn = pool.acquire().await?;
        // The first answer may have waited for a connection; the second is as quick as the network.
        moment(&mut conn).await?;
        let (before, began) = (patient.clock.now() + patient.ahead, Instant::now());
        let theirs = moment(&mut conn).await?;
        Ok::<_, sqlx::Error>(theirs - (before + half(began.elapsed())))
    };
    match asked.await {
        Ok(off) => judge(CHECK, off, NOTABLE),
        Err(error) => unasked(CHECK, &error),
    }
}

async fn with_others(patient: &Patient<'_>) -> Finding {
    const CHECK: &str = "other clocks";
    for url in others(patient).await {
        let host = url.host_str().unwrap_or_default().to_owned();
        let (before, began) = (patient.clock.now() + patient.ahead, Instant::now());
        if let Some(theirs) = date_of(&patient.http, url).await {
            // Whole seconds, cut off.
            let off = theirs + TimeDelta::milliseconds(500) - (before + half(began.elapsed()));
            return judge(&format!("clock of {host}"), off, NOTABLE_ELSEWHERE);
        }
    }
    Finding::ok(CHECK, "no server that is configured says its time")
}

/// Servers that this instance talks to in any case.
async fn others(patient: &Patient<'_>) -> Vec<Url> {
    let mut urls: Vec<Url> =
        patient.config.providers.iter().filter_map(|provider| provider.issuer.parse().ok()).collect();
    urls.extend(patient.config.payments.stripe.iter().map(|stripe| stripe.url.clone()));
    if let Some(catalog) = database::catalog(patient).await {
        let open = catalog.providers().iter().filter(|listed| listed.is_open());
        urls.extend(open.filter_map(|listed| listed.provider.base_url.as_deref()?.parse().ok()));
    }
    urls.truncate(MAX_ASKED);
    urls
}

async fn date_of(http: &HttpClient, url: Url) -> Option<DateTime<Utc>> {
    let answer = tokio::time::timeout(ANSWER_WITHIN, http.get(url).ok()?.send()).await.ok()?.ok()?;
    let date = answer.headers().get(DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(date).ok().map(|date| date.to_utc())
}

fn half(took: Duration) -> TimeDelta {
    TimeDelta::from_std(took / 2).unwrap_or_default()
}

/// `off` is by how much the other clock is ahead of ours.
fn judge(check: &str, off: TimeDelta, notable: TimeDelta) -> Finding {
    let direction = if off > TimeDelta::zero() { "behind" } else { "ahead" };
    let away = off.abs();
    let found =
        format!("this machine is {}.{:03} seconds {direction}", away.num_seconds(), away.num_milliseconds() % 1_000);
    if away > BAD {
        Finding::fault(check, found, ADVICE)
    } else if away > notable {
        Finding::warning(check, found, ADVICE)
    } else {
        Finding::ok(check, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn a_clock_is_judged_by_how_far_it_is_off() {
        for (millis, level) in [
            (0, Level::Ok),
            (-1_900, Level::Ok),
            (2_100, Level::Warning),
            (-29_000, Level::Warning),
            (31_000, Level::Fault),
        ] {
            assert_eq!(judge("a", TimeDelta::milliseconds(millis), NOTABLE).level, level, "{millis}");
        }
        assert!(judge("a", TimeDelta::milliseconds(-2_100), NOTABLE).found.contains("2.100 seconds ahead"));
    }
}
