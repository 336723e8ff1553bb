//! Payment processors: each is asked, with its key, for the payments since this moment. There are none.

use std::time::Duration;

use super::{Finding, Patient, store, unasked};
use crate::boot;
use crate::topups;
use crate::topups::processors::{Processor, ProcessorError};

const LIMIT: Duration = Duration::from_secs(35);

pub async fn check(patient: &Patient<'_>) -> Vec<Finding> {
    // The clients of the server itself; the sandbox asks the database only, and nothing of it can be wrong.
    let processors = match boot::real_processors(patient.config) {
        Ok(processors) => processors,
        Err(error) => {
            return vec![Finding::fault("processors", error.to_string(), "mend the settings of the processor")];
        }
    };
    let mut findings = Vec::new();
    if processors.is_empty() {
        let found = if patient.production { "none: nobody can buy credits" } else { "none: pretend payments only" };
        findings.push(Finding::ok("processors", found));
    }
    findings.extend(futures_util::future::join_all(processors.iter().map(|one| ask(patient, one.as_ref()))).await);
    findings.extend(messages(patient).await);
    findings
}

async fn ask(patient: &Patient<'_>, processor: &dyn Processor) -> Finding {
    let name = processor.name();
    let prefix = name.to_uppercase();
    match tokio::time::timeout(LIMIT, processor.payments(patient.clock.now(), None)).await {
        Ok(Ok(_)) => Finding::ok(name, "answers, and takes the key"),
        Ok(Err(ProcessorError::Refused(said))) => {
            let advice = format!("check the key in FAREBOX_{prefix}_* and what it may do (docs/configuration.md)");
            Finding::fault(name, format!("refuses: {}", without_keys(&said)), advice)
        }
        Ok(Err(error)) => {
            let advice = format!("check FAREBOX_{prefix}_URL, and that this machine may reach it");
            Finding::fault(name, without_keys(&error.to_string()), advice)
        }
        Err(_) => Finding::fault(name, "does not answer", "check that this machine may reach it"),
    }
}

/// Some repeat parts of the key that they refuse.
fn without_keys(said: &str) -> String {
    let is_key = |word: &str| {
        ["sk_", "rk_", "whsec_"].iter().any(|start| word.trim_start_matches(['\'', '"', '`']).starts_with(start))
    };
    said.split(' ').map(|word| if is_key(word) { "[hidden]" } else { word }).collect::<Vec<_>>().join(" ")
}

async fn messages(patient: &Patient<'_>) -> Vec<Finding> {
    const CHECK: &str = "messages of processors";
    let Some(pool) = &patient.pool else { return vec![super::no_database(CHECK)] };
    let asked = async {
        let mut conn = pool.acquire().await?;
        Ok::<_, sqlx::Error>((topups::late_events(&mut conn).await?, store::reconciliations(&mut conn).await?))
    };
    let (late, compared) = match asked.await {
        Ok(found) => found,
        Err(error) => return vec![unasked(CHECK, &error)],
    };
    let mut findings = vec![if late > 0 {
        let found = format!("{late} wait for more than a quarter of an hour");
        Finding::warning(CHECK, found, "is a server running, and what does its log say? The janitor asks for lost ones")
    } else {
        Finding::ok(CHECK, "none waits")
    }];
    for (processor, complete, open) in compared {
        let check = format!("comparison with {processor}");
        let when = complete.map_or_else(
            || "never complete".to_owned(),
            |at| format!("last complete {}", at.format("%Y-%m-%d %H:%M UTC")),
        );
        let old = complete.is_none_or(|at| patient.clock.now() - at > chrono::TimeDelta::days(2));
        let advice = format!("farebox topups reconcile --processor {processor}");
        findings.push(if open > 0 || old {
            Finding::warning(check, format!("{when}, {open} findings for somebody to look at"), advice)
        } else {
            Finding::ok(check, when)
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_refused_key_is_not_repeated() {
        let said = super::without_keys("Invalid API Key provided: sk_test_****1234");
        assert_eq!(said, "Invalid API Key provided: [hidden]");
    }
}
