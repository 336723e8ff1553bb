//! The figures in words, beside what they should be.

use crate::fill::Rows;
use crate::measure::{Compared, Figures};

const MEGABYTE: f64 = 1_000_000.0;
/// Two runs of the same thing differ by this much on a quiet machine.
const NOISE: f64 = 0.10;

/// Which way is better, and what has to be reached.
enum Wanted {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    Nothing,
}

struct Line {
    name: &'static str,
    unit: &'static str,
    digits: usize,
    wanted: Wanted,
    of: fn(&Figures) -> f64,
}

const LINES: [Line; 15] = [
    line("calls per second, pass-through", "/s", 0, Wanted::Nothing, |f| f.proxy.per_second()),
    line("calls per second, 64 over 100 keys", "/s", 0, Wanted::Nothing, |f| f.spread.per_second()),
    line("calls per second, 64 on one key", "/s", 0, Wanted::Nothing, |f| f.one_key.per_second()),
    line("100 keys / pass-through (goal 0.4)", "", 3, Wanted::AtLeast(0.25), |f| {
        f.spread.per_second() / f.proxy.per_second()
    }),
    line("one key / 100 keys", "", 3, Wanted::AtLeast(0.8), |f| f.one_key.per_second() / f.spread.per_second()),
    line("added latency p50", "ms", 3, Wanted::AtMost(1.5), |f| added(&f.whole, 0.5)),
    line("added latency p99", "ms", 3, Wanted::AtMost(5.0), |f| added(&f.whole, 0.99)),
    line("  of it by a bare proxy, p50", "ms", 3, Wanted::Nothing, |f| by_proxy(&f.whole, 0.5)),
    line("added time to first token p50", "ms", 3, Wanted::AtMost(1.0), |f| added(&f.first_token, 0.5)),
    line("  of it by a bare proxy, p50", "ms", 3, Wanted::Nothing, |f| by_proxy(&f.first_token, 0.5)),
    line("CPU per call, app and Postgres", "us", 1, Wanted::AtMost(150.0), |f| {
        per_call(f, f.cpu.app_us + f.cpu.postgres_us)
    }),
    line("  of it app", "us", 1, Wanted::Nothing, |f| per_call(f, f.cpu.app_us)),
    line("  of it Postgres", "us", 1, Wanted::Nothing, |f| per_call(f, f.cpu.postgres_us)),
    line("memory before slow streams", "MB", 1, Wanted::Nothing, |f| f.memory.before as f64 / MEGABYTE),
    line("memory with slow streams open", "MB", 1, Wanted::AtMost(150.0), |f| f.memory.peak as f64 / MEGABYTE),
];

const fn line(name: &'static str, unit: &'static str, digits: usize, wanted: Wanted, of: fn(&Figures) -> f64) -> Line {
    Line { name, unit, digits, wanted, of }
}

/// Of Farebox over the upstream called directly, in milliseconds.
fn added(compared: &Compared, share: f64) -> f64 {
    compared.app.percentile(share) - compared.direct.percentile(share)
}

fn by_proxy(compared: &Compared, share: f64) -> f64 {
    compared.proxy.percentile(share) - compared.direct.percentile(share)
}

fn per_call(figures: &Figures, micros: u64) -> f64 {
    micros as f64 / (figures.spread.calls as f64).max(1.0)
}

pub fn print(first: &Figures, tenfold: &Figures, rows: &[Rows]) {
    println!();
    for Rows { table, before, after } in rows {
        println!("{table}: {before} rows, then {after}");
    }
    println!("\n{:<38}{:>12}{:>14}  wanted", "", "first", "10 x rows");
    for line in &LINES {
        let (a, b) = ((line.of)(first), (line.of)(tenfold));
        let digits = line.digits;
        println!("{:<38}{a:>12.digits$}{b:>14.digits$}  {}", line.name, verdict(line, a, b));
    }
    for (name, figures) in [("first", first), ("10 x rows", tenfold)] {
        println!(
            "{name}: {} and {} single calls each way, {} slow streams open, {} failed calls",
            figures.whole.app.count(),
            figures.first_token.app.count(),
            figures.memory.streams,
            figures.errors()
        );
        if let Some(error) = figures.first_error() {
            println!("the first failure: {error}");
        }
    }
}

fn verdict(line: &Line, first: f64, tenfold: f64) -> String {
    let Line { unit, wanted, .. } = line;
    let (sign, bound, met, slower) = match wanted {
        Wanted::Nothing => return (*unit).to_owned(),
        Wanted::AtLeast(bound) => (">=", bound, first >= *bound, tenfold < first * (1.0 - NOISE)),
        Wanted::AtMost(bound) => ("<=", bound, first <= *bound, tenfold > first * (1.0 + NOISE)),
    };
    let met = if met { "met" } else { "MISSED" };
    let slower = if slower { ", WORSE with ten times the rows" } else { "" };
    format!("{sign} {bound} {unit}: {met}{slower}")
}

pub fn print_baseline(figures: &Figures) {
    println!(
        "pass-through {:.0}/s, upstream itself {:.0}/s; the proxy adds p50 {:.3} ms, p99 {:.3} ms, \
         to the first token p50 {:.3} ms; {} failed calls",
        figures.proxy.per_second(),
        figures.spread.per_second(),
        by_proxy(&figures.whole, 0.5),
        by_proxy(&figures.whole, 0.99),
        by_proxy(&figures.first_token, 0.5),
        figures.errors()
    );
    if let Some(error) = figures.first_error() {
        println!("the first failure: {error}");
    }
}
