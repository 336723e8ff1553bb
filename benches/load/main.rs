//! The load driver: measures Farebox against a bare proxy, in one run on one machine, and prints ratios.
//!
//! `cargo bench --bench load -- [--seconds 10] [--quick] [--baseline-only] [--only spread,one,whole,first]
//! [--program PROGRAM] [--against PROGRAM]`. What each figure means is in `docs/performance.md`.

mod against;
mod client;
mod fill;
mod measure;
mod passthrough;
mod process;
mod report;
mod subject;
mod upstream;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;

use measure::{Figures, Plan};
use subject::Subject;

/// Sockets of this process: client and upstream side of every slow stream, and some.
const OPEN_FILES: u64 = 16_384;
const ORGANIZATIONS: usize = 20;
const KEYS_PER_ORGANIZATION: usize = 5;
const MAX_SECONDS: u64 = 300;

#[derive(Parser)]
struct Args {
    /// How long each throughput figure is measured, in seconds, 1 to 300.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MAX_SECONDS))]
    seconds: u64,
    /// A short run that shows that everything works. Its figures are not to be quoted.
    #[arg(long)]
    quick: bool,
    /// Only the pass-through proxy: what the machine gives, and how much that varies.
    #[arg(long)]
    baseline_only: bool,
    /// As which kind of database user the program works.
    #[arg(long, value_enum, default_value_t = subject::DatabaseUser::Ordinary)]
    database_user: subject::DatabaseUser,
    /// Only these parts, once each and for `--seconds`, without ten times the rows: to compare two builds, or to profile one.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<measure::Part>,
    /// The build of Farebox that is measured, as `script/release` makes it; else the one that cargo made with this driver.
    #[arg(long, default_value = subject::PROGRAM)]
    program: PathBuf,
    /// Another build of Farebox, measured in turns with that one, each on a Postgres of its own. Needs `--only`.
    #[arg(long, requires = "only")]
    against: Option<PathBuf>,
    /// Given by cargo to every benchmark.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    process::raise_open_files(OPEN_FILES)?;
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        anyhow::bail!("another TLS provider was installed first");
    }
    let plan = if args.quick { Plan::quick() } else { Plan::full(Duration::from_secs(args.seconds)) };
    println!("load average at the start: {}", process::load_average());
    let upstream = upstream::start(plan.slow_chunks).context("start the fake upstream")?;
    let proxy = passthrough::start(upstream.address).context("start the pass-through proxy")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    if args.baseline_only {
        return baseline(&runtime, &plan, upstream.address, proxy.address);
    }
    let keys = ORGANIZATIONS * KEYS_PER_ORGANIZATION;
    println!("starting Postgres and Farebox, making {keys} keys of {ORGANIZATIONS} organizations");
    let start =
        |program| Subject::start(program, upstream.address, ORGANIZATIONS, KEYS_PER_ORGANIZATION, args.database_user);
    let subject = runtime.block_on(start(&args.program))?;
    let targets = measure::Targets::new(upstream.address, proxy.address, &subject);

    if let Some(program) = &args.against {
        let other = runtime.block_on(start(program))?;
        let others = measure::Targets::new(upstream.address, proxy.address, &other);
        let both = [(&targets, &subject), (&others, &other)];
        return runtime.block_on(against::measure(&args.only, &plan, both));
    }
    if !args.only.is_empty() {
        return runtime.block_on(measure::only(&args.only, &plan, &targets, &subject));
    }
    let first = runtime.block_on(measure::all(&plan, &targets, &subject))?;
    println!("filling the database up to ten times the rows");
    let rows = runtime.block_on(fill::ten_times(&subject.database_url))?;
    let tenfold = runtime.block_on(measure::all(&plan, &targets, &subject))?;
    report::print(&first, &tenfold, &rows);
    let errors = first.errors() + tenfold.errors();
    drop(subject);
    anyhow::ensure!(errors == 0, "{errors} calls failed, so the figures above mean nothing");
    Ok(())
}

fn baseline(
    runtime: &tokio::runtime::Runtime,
    plan: &Plan,
    upstream: SocketAddr,
    proxy: SocketAddr,
) -> anyhow::Result<()> {
    for _ in 0..plan.rounds {
        let figures: Figures = runtime.block_on(measure::baseline(plan, upstream, proxy))?;
        report::print_baseline(&figures);
    }
    Ok(())
}
