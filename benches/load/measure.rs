//! The measurements. Each is bounded in time and in calls; what is compared is interleaved.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::client::{Connection, post};
use crate::process::{self, CpuTime};
use crate::subject::Subject;
use crate::upstream::SLOW_PAUSE;

const IN_FLIGHT: usize = 64;
const MAX_CALLS: usize = 2_000_000;
const MAX_SINGLE_CALLS: usize = 20_000;
/// Failures after which one worker gives up: the figure is void anyway.
const MAX_FAILURES: usize = 20;
/// Opened at once; more would test the listen queue.
const OPENING: usize = 50;
const STREAMS_OPEN_LIMIT: Duration = Duration::from_secs(30);
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
const API: &str = "/api/v1/chat/completions";
const BARE: &str = "/v1/chat/completions";

/// How much is measured.
pub struct Plan {
    pub seconds: Duration,
    pub warm_up: Duration,
    /// Throughput figures are taken in this many turns, so that a disturbance hits all of them alike.
    pub rounds: u32,
    pub streams: usize,
    pub slow_chunks: usize,
}

impl Plan {
    pub fn full(seconds: Duration) -> Self {
        Self { seconds, warm_up: Duration::from_secs(2), rounds: 4, streams: 1_000, slow_chunks: 24 }
    }

    pub fn quick() -> Self {
        let (seconds, warm_up) = (Duration::from_secs(2), Duration::from_millis(500));
        Self { seconds, warm_up, rounds: 2, streams: 200, slow_chunks: 8 }
    }
}

/// One server with the requests that go to it in turn.
#[derive(Clone)]
pub(crate) struct Target {
    address: SocketAddr,
    requests: Arc<Vec<Vec<u8>>>,
}

impl Target {
    fn new(address: SocketAddr, path: &str, model: &str, stream: bool, keys: &[String]) -> Self {
        // About as long as a short question with a system prompt.
        let body = format!(
            r#"{{"model":"{model}","messages":[{{"role":"system","content":"You are a helpful assistant. Answer in one short sentence."}},{{"role":"user","content":"How many letters are there in the Greek alphabet, and what are the first eight of them?"}}],"max_tokens":64,"stream":{stream}}}"#
        );
        let requests = keys.iter().map(|key| post(address, path, key, &body)).collect();
        Self { address, requests: Arc::new(requests) }
    }
}

/// Everything that is called.
pub struct Targets {
    pub(crate) direct: Target,
    pub(crate) direct_stream: Target,
    pub(crate) proxy: Target,
    pub(crate) proxy_stream: Target,
    pub(crate) spread: Target,
    pub(crate) one_key: Target,
    pub(crate) app_stream: Target,
    slow: Target,
}

impl Targets {
    pub fn new(upstream: SocketAddr, proxy: SocketAddr, subject: &Subject) -> Self {
        let bare = |address, stream| Target::new(address, BARE, "fast", stream, &["none".to_owned()]);
        let app = |model, stream, keys| Target::new(subject.address, API, model, stream, keys);
        Self {
            direct: bare(upstream, false),
            direct_stream: bare(upstream, true),
            proxy: bare(proxy, false),
            proxy_stream: bare(proxy, true),
            spread: app("load/fast", false, &subject.keys),
            one_key: app("load/fast", false, &subject.keys[..1]),
            app_stream: app("load/fast", true, &subject.keys),
            slow: app("load/slow", true, &subject.keys),
        }
    }
}

/// Calls that were made, and how long that took.
#[derive(Clone, Debug, Default)]
pub struct Load {
    pub calls: usize,
    pub errors: usize,
    pub first_error: Option<String>,
    pub time: Duration,
}

impl Load {
    pub fn per_second(&self) -> f64 {
        self.calls as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.time += other.time;
        self.first_error = self.first_error.take().or(other.first_error);
    }

    fn fail(&mut self, error: &std::io::Error) {
        self.errors += 1;
        self.first_error.get_or_insert_with(|| error.to_string());
    }
}

/// Durations of single calls, in order of size.
#[derive(Clone, Debug, Default)]
pub struct Latency(Vec<Duration>);

impl Latency {
    /// The value that this share of the calls does not exceed, in milliseconds.
    pub fn percentile(&self, share: f64) -> f64 {
        let index = (self.0.len() as f64 * share) as usize;
        let value = self.0.get(index.min(self.0.len().saturating_sub(1)));
        value.map_or(f64::NAN, |value| value.as_secs_f64() * 1_000.0)
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
        self.0.sort_unstable();
    }
}

/// One kind of call, made in turn to the upstream itself, through the proxy, and through Farebox.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    pub direct: Latency,
    pub proxy: Latency,
    pub app: Latency,
}

/// Memory while slow streams are open.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    pub before: u64,
    pub peak: u64,
    /// Streams that had begun when the peak was looked for.
    pub streams: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub proxy: Load,
    pub spread: Load,
    pub one_key: Load,
    /// Used during `spread`.
    pub cpu: CpuTime,
    pub whole: Compared,
    pub first_token: Compared,
    pub memory: Memory,
    /// Of everything that is not in a [`Load`] above.
    pub others: Load,
}

impl Figures {
    pub fn errors(&self) -> usize {
        [&self.proxy, &self.spread, &self.one_key, &self.others].iter().map(|load| load.errors).sum()
    }

    pub fn first_error(&self) -> Option<&str> {
        let loads = [&self.proxy, &self.spread, &self.one_key, &self.others];
        loads.iter().find_map(|load| load.first_error.as_deref())
    }
}

/// # Errors
/// When Farebox or Postgres ended. Failed calls are counted, not returned.
pub async fn all(plan: &Plan, targets: &Targets, subject: &Subject) -> anyhow::Result<Figures> {
    let mut figures = Figures::default();
    for target in [&targets.proxy, &targets.spread, &targets.app_stream] {
        figures.others.add(load(target, plan.warm_up).await);
    }
    let turn = plan.seconds / plan.rounds;
    let postgres = subject.postgres_pid()?;
    for _ in 0..plan.rounds {
        figures.proxy.add(load(&targets.proxy, turn).await);
        let before = process::cpu_time(subject.app_pid(), postgres)?;
        figures.spread.add(load(&targets.spread, turn).await);
        let used = process::cpu_time(subject.app_pid(), postgres)?.since(before);
        figures.cpu = figures.cpu.plus(used);
        figures.one_key.add(load(&targets.one_key, turn).await);
    }
    let whole = [&targets.direct, &targets.proxy, &targets.spread];
    figures.whole = one_at_a_time(whole, plan.seconds, false, &mut figures.others).await;
    let streams = [&targets.direct_stream, &targets.proxy_stream, &targets.app_stream];
    figures.first_token = one_at_a_time(streams, plan.seconds, true, &mut figures.others).await;
    figures.memory = slow_streams(plan, &targets.slow, subject.app_pid(), &mut figures.others).await?;
    Ok(figures)
}

/// What can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// 64 calls in flight over all keys.
    Spread,
    /// The same on one key.
    One,
    /// One call at a time.
    Whole,
    /// The first token of one stream at a time.
    First,
}

/// Measures parts alone and prints them.
///
/// # Errors
/// When Farebox or Postgres ended, or a call failed.
pub async fn only(parts: &[Part], plan: &Plan, targets: &Targets, subject: &Subject) -> anyhow::Result<()> {
    for target in [&targets.proxy, &targets.spread, &targets.app_stream] {
        load(target, plan.warm_up).await;
    }
    let mut failures = Load::default();
    for part in parts {
        println!("{part:?}");
        match part {
            Part::Spread => throughput(plan, targets, &targets.spread, subject, &mut failures).await?,
            Part::One => throughput(plan, targets, &targets.one_key, subject, &mut failures).await?,
            Part::Whole => {
                let whole = [&targets.direct, &targets.proxy, &targets.spread];
                print_latency(&one_at_a_time(whole, plan.seconds, false, &mut failures).await);
            }
            Part::First => {
                let streams = [&targets.direct_stream, &targets.proxy_stream, &targets.app_stream];
                print_latency(&one_at_a_time(streams, plan.seconds, true, &mut failures).await);
            }
        }
    }
    anyhow::ensure!(failures.errors == 0, "{} calls failed: {:?}", failures.errors, failures.first_error);
    Ok(())
}

async fn throughput(
    plan: &Plan,
    targets: &Targets,
    target: &Target,
    subject: &Subject,
    failures: &mut Load,
) -> anyhow::Result<()> {
    let proxy = load(&targets.proxy, plan.seconds / 4).await;
    let postgres = subject.postgres_pid()?;
    let before = process::cpu_time(subject.app_pid(), postgres)?;
    let load = load(target, plan.seconds).await;
    let used = process::cpu_time(subject.app_pid(), postgres)?.since(before);
    let each = |time: u64| time as f64 / load.calls.max(1) as f64;
    let (calls, all) = (load.per_second(), proxy.per_second());
    println!("  {calls:.0} of {all:.0} calls per second = {:.3}", calls / all);
    println!("  CPU per call: app {:.1} us, Postgres {:.1} us", each(used.app_us), each(used.postgres_us));
    failures.add(load);
    Ok(())
}

fn print_latency(compared: &Compared) {
    let Compared { direct, proxy, app } = compared;
    for share in [0.5, 0.9, 0.99] {
        let [direct, proxy, app] = [direct, proxy, app].map(|latency| latency.percentile(share));
        println!("  p{:.0}: upstream {direct:.3} ms, pass-through {proxy:.3} ms, Farebox {app:.3} ms", share * 100.0);
    }
}

/// The same without Farebox.
///
/// # Errors
/// None today; the sum of errors is in the figures.
pub async fn baseline(plan: &Plan, upstream: SocketAddr, proxy: SocketAddr) -> anyhow::Result<Figures> {
    let bare = |address, stream| Target::new(address, BARE, "fast", stream, &["none".to_owned()]);
    let (direct, through) = (bare(upstream, false), bare(proxy, false));
    let mut figures = Figures::default();
    load(&through, plan.warm_up).await;
    figures.proxy = load(&through, plan.seconds / plan.rounds).await;
    figures.spread = load(&direct, plan.seconds / plan.rounds).await;
    let turn = plan.seconds / plan.rounds;
    figures.whole = one_at_a_time([&direct, &through, &through], turn, false, &mut figures.others).await;
    let (direct, through) = (bare(upstream, true), bare(proxy, true));
    figures.first_token = one_at_a_time([&direct, &through, &through], turn, true, &mut figures.others).await;
    Ok(figures)
}

/// Keeps [`IN_FLIGHT`] calls running, each on its own connection.
pub(crate) async fn load(target: &Target, time: Duration) -> Load {
    let begun = Instant::now();
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        workers.spawn(worker(target.clone(), Arc::clone(&next), begun + time));
    }
    let mut sum = Load::default();
    while let Some(done) = workers.join_next().await {
        match done {
            Ok(load) => sum.add(load),
            Err(error) => sum.fail(&std::io::Error::other(error)),
        }
    }
    sum.time = begun.elapsed();
    sum
}

async fn worker(target: Target, next: Arc<AtomicUsize>, until: Instant) -> Load {
    let mut load = Load::default();
    let mut connection = None;
    while Instant::now() < until && load.errors < MAX_FAILURES {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= MAX_CALLS {
            break;
        }
        let request = &target.requests[number % target.requests.len()];
        match call(&mut connection, &target, request).await {
            Ok(_) => load.calls += 1,
            Err(error) => {
                load.fail(&error);
                connection = None;
            }
        }
    }
    load
}

/// Calls on the connection that is there, or on a new one.
async fn call(
    connection: &mut Option<Connection>,
    target: &Target,
    request: &[u8],
) -> std::io::Result<crate::client::Timing> {
    if connection.is_none() {
        *connection = Some(Connection::open(target.address).await?);
    }
    match connection {
        Some(connection) => connection.call(request, None).await,
        None => Err(std::io::ErrorKind::NotConnected.into()),
    }
}

/// One call in flight in all, to each target in turn.
pub(crate) async fn one_at_a_time(
    targets: [&Target; 3],
    time: Duration,
    first_token: bool,
    failures: &mut Load,
) -> Compared {
    let until = Instant::now() + time;
    let mut connections: [Option<Connection>; 3] = [None, None, None];
    let mut taken: [Vec<Duration>; 3] = Default::default();
    let mut number = 0;
    while Instant::now() < until && number < MAX_SINGLE_CALLS && failures.errors < MAX_FAILURES {
        for ((target, connection), taken) in targets.iter().zip(&mut connections).zip(&mut taken) {
            let request = &target.requests[number % target.requests.len()];
            match call(connection, target, request).await {
                Ok(timing) if first_token => taken.extend(timing.first_token),
                Ok(timing) => taken.push(timing.total),
                Err(error) => {
                    failures.fail(&error);
                    *connection = None;
                }
            }
        }
        number += 1;
    }
    let [direct, proxy, app] = taken.map(|mut taken| {
        taken.sort_unstable();
        Latency(taken)
    });
    Compared { direct, proxy, app }
}

/// Opens all streams, looks at the memory while all are open, and lets them run to their end.
async fn slow_streams(plan: &Plan, target: &Target, app: u32, failures: &mut Load) -> anyhow::Result<Memory> {
    let mut memory = Memory { before: process::resident(app)?, ..Memory::default() };
    let started = Arc::new(AtomicUsize::new(0));
    let ended = Arc::new(AtomicUsize::new(0));
    let mut streams = JoinSet::new();
    let begun = Instant::now();
    for number in 0..plan.streams {
        streams.spawn(slow_stream(target.clone(), number, Arc::clone(&started), Arc::clone(&ended)));
        if number % OPENING == OPENING - 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    while started.load(Ordering::Relaxed) + ended.load(Ordering::Relaxed) < plan.streams
        && begun.elapsed() < STREAMS_OPEN_LIMIT
    {
        tokio::time::sleep(SAMPLE_EVERY / 10).await;
    }
    memory.streams = started.load(Ordering::Relaxed).saturating_sub(ended.load(Ordering::Relaxed));
    // For as long as the streams last; one sample at least.
    let lasting = SLOW_PAUSE * u32::try_from(plan.slow_chunks).unwrap_or(u32::MAX);
    loop {
        memory.peak = memory.peak.max(process::resident(app)?);
        if ended.load(Ordering::Relaxed) > 0 || begun.elapsed() > lasting + STREAMS_OPEN_LIMIT {
            break;
        }
        tokio::time::sleep(SAMPLE_EVERY).await;
    }
    while let Some(done) = streams.join_next().await {
        match done {
            Ok(Ok(())) => {}
            Ok(Err(error)) => failures.fail(&error),
            Err(error) => failures.fail(&std::io::Error::other(error)),
        }
    }
    Ok(memory)
}

async fn slow_stream(
    target: Target,
    number: usize,
    started: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let request = &target.requests[number % target.requests.len()];
    let run = async {
        let mut connection = Connection::open(target.address).await?;
        connection.call(request, Some(&started)).await
    };
    let result = run.await;
    ended.fetch_add(1, Ordering::Relaxed);
    result.map(drop)
}
