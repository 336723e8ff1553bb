//! What monitoring sees of calls. Labels have few values: the providers of the catalog, and words of ours; nothing that a
//! caller writes, and no tenant.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{counter, histogram};

use super::call::Status;
use crate::activity::UsageRow;
use crate::base::Usd;

/// Kinds of tokens, in the order in which they are added up.
const KINDS: [&str; 5] = ["prompt", "completion", "cached", "cache_write", "reasoning"];

/// An endpoint was asked; `outcome` is `ok` or what went wrong.
pub(super) fn attempted(provider: &str, outcome: &'static str, took: Duration) {
    let provider = provider.to_owned();
    histogram!("farebox_upstream_seconds", "provider" => provider.clone()).record(took);
    counter!("farebox_upstream_attempts_total", "provider" => provider, "outcome" => outcome).increment(1);
}

/// From the question to the first piece of a streamed answer.
pub(super) fn began(provider: &str, took: Duration) {
    histogram!("farebox_first_token_seconds", "provider" => provider.to_owned()).record(took);
}

/// A call that was admitted has ended; `settled` of its time went into the books.
pub(super) fn ended(status: Status, took: Duration, settled: Duration) {
    histogram!("farebox_call_seconds", "status" => status.as_str()).record(took);
    histogram!("farebox_settle_seconds").record(settled);
}

/// How long a call waited for its hold.
pub(super) fn admitted(took: Duration) {
    histogram!("farebox_admit_seconds").record(took);
}

/// A call was refused with this HTTP status.
pub(super) fn refused(status: u16) {
    counter!("farebox_refused_total", "status" => status.to_string()).increment(1);
}

/// Calls are in the books. Counters are looked up by their names, so they are told of a batch at once.
pub(super) fn settled(rows: &[UsageRow]) {
    let mut by_status: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut tokens = [0_u64; KINDS.len()];
    let (mut charged, mut overrun) = (Usd::ZERO, Usd::ZERO);
    for row in rows {
        *by_status.entry(row.status).or_default() += 1;
        let of_row =
            [row.prompt_tokens, row.completion_tokens, row.cached_tokens, row.cache_write_tokens, row.reasoning_tokens];
        tokens.iter_mut().zip(of_row).for_each(|(sum, count)| *sum = sum.saturating_add(count));
        charged += row.cost;
        overrun += row.overrun;
    }
    for (status, count) in by_status {
        counter!("farebox_calls_total", "status" => status).increment(count);
    }
    for (kind, count) in KINDS.into_iter().zip(tokens).filter(|(_, count)| *count > 0) {
        counter!("farebox_tokens_total", "kind" => kind).increment(count);
    }
    counter!("farebox_charged_microusd_total").increment(millionths(charged));
    counter!("farebox_overrun_microusd_total").increment(millionths(overrun));
}

/// Whole millionths of a dollar, for graphs: the books are exact, this is not.
fn millionths(amount: Usd) -> u64 {
    let whole = (amount.amount() * rust_decimal::Decimal::from(1_000_000)).trunc();
    u64::try_from(whole).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graphs_count_in_whole_millionths() {
        for (amount, count) in [("0.01", 10_000), ("0.0000019", 1), ("0", 0), ("-1", 0), ("12.5", 12_500_000)] {
            assert_eq!(millionths(Usd::parse(amount).unwrap_or_default()), count, "{amount}");
        }
    }
}
