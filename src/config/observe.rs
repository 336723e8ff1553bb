//! Settings of what whoever runs an instance sees of it: slow statements, and traces of calls. The latter have the names
//! that OpenTelemetry gives them; those of its names that are not here mean nothing to Farebox.
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::time::Duration;

use percent_encoding::percent_decode_str;
use rust_decimal::Decimal;
use url::Url;

use super::{Config, ConfigError, Sources, wrong};
use crate::base::Secret;
use crate::traces::{Sampler, TraceSettings};

const SLOW: &str = "FAREBOX_SLOW_QUERY_MS";
/// Pages take a few milliseconds; a statement of half a second is worth a look.
const DEFAULT_SLOW_MS: u64 = 500;
const MAX_SLOW_MS: u64 = 600_000;

const DISABLED: &str = "OTEL_SDK_DISABLED";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TIMEOUT: &str = "OTEL_EXPORTER_OTLP_TIMEOUT";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
const QUEUE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const BATCH: &str = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
const DELAY: &str = "OTEL_BSP_SCHEDULE_DELAY";
/// Names and values of one list.
const MAX_PAIRS: usize = 64;
const MAX_QUEUE: usize = 65_536;

/// What is written down about how an instance does.
#[derive(Clone, Debug)]
pub struct ObserveSettings {
    /// `FAREBOX_SLOW_QUERY_MS`: statements of the database that take longer are logged, without their values; default 500,
    /// 0 for none.
    pub slow_query: Option<Duration>,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT` and others of OpenTelemetry's: where traces of calls go; without it none are made.
    pub traces: Option<TraceSettings>,
}

pub fn is_described(name: &str) -> bool {
    name == SLOW || name.starts_with("OTEL_")
}

/// The effective value of a setting.
pub fn describe(name: &str, config: &Config, sources: &Sources) -> String {
    match name {
        SLOW => config.observe.slow_query.map_or(0, |limit| limit.as_millis()).to_string(),
        // An address may have a password in it.
        ENDPOINT | TRACES => match (sources.get(name), &config.observe.traces) {
            (Some(_), Some(traces)) => traces.endpoint.to_string(),
            (Some(_), None) => "[not used]".to_owned(),
            (None, _) => String::new(),
        },
        _ => sources.get(name).unwrap_or_default().to_owned(),
    }
}

/// # Errors
/// Names the setting, what is wrong with it, and what it must be.
pub fn read(sources: &Sources) -> Result<ObserveSettings, ConfigError> {
    let slow: u64 = sources.parse(SLOW, DEFAULT_SLOW_MS, "a whole number of milliseconds, or 0 for none")?;
    if slow > MAX_SLOW_MS {
        return Err(wrong(SLOW, format!("must be {MAX_SLOW_MS} milliseconds or less, or 0 for none")));
    }
    let slow_query = (slow > 0).then(|| Duration::from_millis(slow));
    Ok(ObserveSettings { slow_query, traces: traces(sources)? })
}

fn traces(sources: &Sources) -> Result<Option<TraceSettings>, ConfigError> {
    if sources.get(DISABLED).is_some_and(|said| said.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let endpoint = match (sources.get(TRACES), sources.get(ENDPOINT)) {
        (Some(whole), _) => address(TRACES, whole)?,
        (None, Some(base)) => address(ENDPOINT, &format!("{}/v1/traces", base.trim_end_matches('/')))?,
        (None, None) => return Ok(None),
    };
    if sources.get(PROTOCOL).is_some_and(|protocol| protocol != "http/protobuf") {
        return Err(wrong(PROTOCOL, "must be `http/protobuf`, which collectors take on port 4318"));
    }
    let headers = pairs(HEADERS, sources)?.into_iter().map(|(name, value)| (name, Secret::new(value)));
    let mut resource = pairs(RESOURCE, sources)?;
    resource.retain(|(name, _)| name != "service.name" || sources.get(SERVICE).is_none());
    if !resource.iter().any(|(name, _)| name == "service.name") {
        resource.push(("service.name".to_owned(), sources.get(SERVICE).unwrap_or("farebox").to_owned()));
    }
    resource.push(("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()));
    let millis = |name: &'static str, default: u64| -> Result<Duration, ConfigError> {
        let millis: u64 = sources.parse(name, default, "a whole number of milliseconds")?;
        if (1..=60_000).contains(&millis) {
            Ok(Duration::from_millis(millis))
        } else {
            Err(wrong(name, "must be between 1 and 60000 milliseconds"))
        }
    };
    let count = |name: &'static str, default: usize| -> Result<usize, ConfigError> {
        let count: usize = sources.parse(name, default, "a whole number")?;
        if (1..=MAX_QUEUE).contains(&count) { Ok(count) } else { Err(wrong(name, "must be between 1 and 65536")) }
    };
    Ok(Some(TraceSettings {
        endpoint,
        headers: headers.collect(),
        resource,
        sampler: sampler(sources)?,
        timeout: millis(TIMEOUT, 10_000)?,
        queue: count(QUEUE, 2_048)?,
        batch: count(BATCH, 512)?,
        delay: millis(DELAY, 5_000)?,
    }))
}

fn address(name: &'static str, text: &str) -> Result<Url, ConfigError> {
    let url: Option<Url> = text.parse().ok();
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some() && url.password().is_none())
        .ok_or_else(|| {
            wrong(name, "must be an address like http://collector:4318; a key belongs into OTEL_EXPORTER_OTLP_HEADERS")
        })
}

/// `name=value,name=value`, with percent signs for what does not fit.
fn pairs(name: &'static str, sources: &Sources) -> Result<Vec<(String, String)>, ConfigError> {
    let wrong = || wrong(name, "must be like `name=value,other=value`");
    let given = sources.get(name).unwrap_or_default().split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let read: Option<Vec<(String, String)>> = given
        .map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
            let plain = !name.trim().is_empty() && !value.chars().any(char::is_control);
            plain.then(|| (name.trim().to_owned(), value.into_owned()))
        })
        .collect();
    read.filter(|pairs| pairs.len() <= MAX_PAIRS).ok_or_else(wrong)
}

fn sampler(sources: &Sources) -> Result<Sampler, ConfigError> {
    const WHOLE: u32 = 1_000_000;
    let share = || -> Result<u32, ConfigError> {
        let share: Decimal = sources.parse(SAMPLER_ARG, Decimal::ONE, "a part of one like 0.1")?;
        let millionths = u32::try_from((share * Decimal::from(WHOLE)).trunc()).ok().filter(|share| *share <= WHOLE);
        millionths.ok_or_else(|| wrong(SAMPLER_ARG, "must be a part of one like 0.1"))
    };
    Ok(match sources.get(SAMPLER).unwrap_or("parentbased_always_on") {
        "always_on" => Sampler::new(false, WHOLE),
        "always_off" => Sampler::new(false, 0),
        "traceidratio" => Sampler::new(false, share()?),
        "parentbased_always_on" => Sampler::new(true, WHOLE),
        "parentbased_always_off" => Sampler::new(true, 0),
        "parentbased_traceidratio" => Sampler::new(true, share()?),
        _ => {
            let known =
                "must be `always_on`, `always_off` or `traceidratio`, or one of them with `parentbased_` before it";
            return Err(wrong(SAMPLER, known));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<ObserveSettings, ConfigError> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        read(&Sources::from_map(pairs.collect())?)
    }

    #[test]
    fn traces_are_made_only_for_a_collector_and_settings_are_read_strictly() {
        assert!(
            load(&[("OTEL_SERVICE_NAME", "a"), ("OTEL_METRICS_EXPORTER", "none")])
                .is_ok_and(|one| one.traces.is_none())
        );
        let base = (ENDPOINT, "http://collector:4318/");
        let found = load(&[base, (HEADERS, "authorization=Bearer%20key-4711"), (RESOURCE, "a=b")]);
        let found = found.ok().and_then(|one| one.traces).unwrap_or_else(|| panic!("traces"));
        assert_eq!(found.endpoint.as_str(), "http://collector:4318/v1/traces");
        assert_eq!(found.headers.first().map(|(_, value)| value.expose().as_str()), Some("Bearer key-4711"));
        assert!(!format!("{found:?}").contains("4711") && found.resource.len() == 3);
        assert!(load(&[base, (DISABLED, "true")]).is_ok_and(|one| one.traces.is_none()));
        for bad in [
            (ENDPOINT, "collector:4318"),
            (ENDPOINT, "http://a:b@collector"),
            (PROTOCOL, "grpc"),
            (HEADERS, "no pair"),
            (SAMPLER, "some"),
            (QUEUE, "0"),
            (DELAY, "0"),
        ] {
            let said = load(&[base, bad]).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(said.starts_with(bad.0), "{bad:?}: {said}");
        }
        assert!(load(&[base, (SAMPLER, "traceidratio"), (SAMPLER_ARG, "2")]).is_err());
    }
}
