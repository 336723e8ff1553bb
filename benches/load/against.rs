//! Two builds of Farebox in one run: a machine that is twice as fast in one minute as in the next is so for both.

use std::time::{Duration, Instant};

use crate::measure::{Latency, Load, Part, Plan, Target, Targets, load, one_at_a_time};
use crate::process::{self, CpuTime};
use crate::subject::Subject;

/// Long enough for batches to be as large as they get, short enough for the machine to stay as it is.
const TURN: Duration = Duration::from_millis(500);

type Side<'a> = (&'a Targets, &'a Subject);

/// Measures the parts in turns, this build's figures first, and prints them with the ratio of the other's to them.
///
/// # Errors
/// When Farebox or Postgres ended, or a call failed.
pub async fn measure(parts: &[Part], plan: &Plan, sides: [Side<'_>; 2]) -> anyhow::Result<()> {
    let mut failures = Load::default();
    for (targets, _) in sides {
        for target in [&targets.spread, &targets.app_stream] {
            failures.add(load(target, plan.warm_up).await);
        }
    }
    for part in parts {
        println!("{part:?}");
        match part {
            Part::Spread => throughput(plan, sides, |targets| &targets.spread, &mut failures).await?,
            Part::One => throughput(plan, sides, |targets| &targets.one_key, &mut failures).await?,
            Part::Whole => {
                let [ours, theirs] = sides.map(|(targets, _)| &targets.spread);
                latency(plan, [&sides[0].0.direct, ours, theirs], false, &mut failures).await;
            }
            Part::First => {
                let [ours, theirs] = sides.map(|(targets, _)| &targets.app_stream);
                latency(plan, [&sides[0].0.direct_stream, ours, theirs], true, &mut failures).await;
            }
        }
    }
    anyhow::ensure!(failures.errors == 0, "{} calls failed: {:?}", failures.errors, failures.first_error);
    Ok(())
}

async fn throughput(
    plan: &Plan,
    sides: [Side<'_>; 2],
    target: fn(&Targets) -> &Target,
    failures: &mut Load,
) -> anyhow::Result<()> {
    let mut proxy = Load::default();
    let mut loads = [Load::default(), Load::default()];
    let mut used = [CpuTime::default(), CpuTime::default()];
    let until = Instant::now() + plan.seconds * 2;
    let mut turn = 0;
    while Instant::now() < until {
        proxy.add(load(&sides[0].0.proxy, TURN / 4).await);
        // Who comes first may find the machine in another state than who comes second.
        for side in [turn % 2, 1 - turn % 2] {
            let (targets, subject) = sides[side];
            let postgres = subject.postgres_pid()?;
            let before = process::cpu_time(subject.app_pid(), postgres)?;
            loads[side].add(load(target(targets), TURN).await);
            used[side] = used[side].plus(process::cpu_time(subject.app_pid(), postgres)?.since(before));
        }
        turn += 1;
    }
    let [ours, theirs] = [0, 1].map(|side| {
        let each = |time: u64| time as f64 / loads[side].calls.max(1) as f64;
        let speed = loads[side].per_second();
        [speed, speed / proxy.per_second(), each(used[side].app_us), each(used[side].postgres_us)]
    });
    for (at, name) in
        ["calls per second", "of the pass-through", "CPU of the app, us", "CPU of Postgres, us"].iter().enumerate()
    {
        println!("  {name}: {:.3}, {:.3}: {:.3}", ours[at], theirs[at], theirs[at] / ours[at]);
    }
    loads.into_iter().chain([proxy]).for_each(|load| failures.add(load));
    Ok(())
}

/// In slices, each with the two in another order: whoever comes second finds the processor's caches filled by the first.
async fn latency(plan: &Plan, [direct, ours, theirs]: [&Target; 3], first_token: bool, failures: &mut Load) {
    let mut bare = Latency::default();
    let mut taken = [Latency::default(), Latency::default()];
    let until = Instant::now() + plan.seconds * 2;
    let mut turn = 0;
    while Instant::now() < until {
        let order = if turn % 2 == 0 { [direct, ours, theirs] } else { [direct, theirs, ours] };
        let compared = one_at_a_time(order, TURN / 2, first_token, failures).await;
        bare.add(compared.direct);
        taken[turn % 2].add(compared.proxy);
        taken[1 - turn % 2].add(compared.app);
        turn += 1;
    }
    for share in [0.5, 0.9, 0.99] {
        let [ours, theirs] = [&taken[0], &taken[1]].map(|latency| latency.percentile(share) - bare.percentile(share));
        println!("  added p{:.0}: {ours:.3} ms, {theirs:.3} ms: {:.3}", share * 100.0, theirs / ours);
    }
}
