//! What the kernel says about processes: processor time and memory. Linux only.

use std::fs;
use std::io;

use anyhow::Context;

/// Processor time of the app and of Postgres with all its processes, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    pub app_us: u64,
    pub postgres_us: u64,
}

impl CpuTime {
    pub fn since(self, earlier: Self) -> Self {
        Self {
            app_us: self.app_us.saturating_sub(earlier.app_us),
            postgres_us: self.postgres_us.saturating_sub(earlier.postgres_us),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self { app_us: self.app_us + other.app_us, postgres_us: self.postgres_us + other.postgres_us }
    }
}

/// # Errors
/// When one of the two processes is gone.
pub fn cpu_time(app: u32, postmaster: u32) -> anyhow::Result<CpuTime> {
    let app = Stat::read(app).context("Farebox has ended")?;
    let server = Stat::read(postmaster).context("Postgres has ended")?;
    // Children that ended are in the server's own sum of children.
    let mut ticks = server.own_ticks + server.children_ticks;
    for entry in fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between listing and reading.
        if let Ok(stat) = Stat::read(pid)
            && stat.parent == postmaster
        {
            ticks += stat.own_ticks;
        }
    }
    Ok(CpuTime { app_us: micros(app.own_ticks), postgres_us: micros(ticks) })
}

struct Stat {
    parent: u32,
    own_ticks: u64,
    children_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> io::Result<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name may contain anything; the fields begin after its closing parenthesis.
        let fields: Vec<&str> = text.rsplit_once(") ").map(|(_, rest)| rest.split(' ').collect()).unwrap_or_default();
        let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok());
        let read = || {
            Some(Self {
                parent: u32::try_from(number(1)?).ok()?,
                own_ticks: number(11)? + number(12)?,
                children_ticks: number(13)? + number(14)?,
            })
        };
        read().ok_or_else(|| io::Error::other("/proc/<pid>/stat is not as expected"))
    }
}

fn micros(ticks: u64) -> u64 {
    // SAFETY: asks for a constant of the system.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    ticks * 1_000_000 / u64::try_from(per_second).unwrap_or(100).max(1)
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When the process is gone.
pub fn resident(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).context("Farebox has ended")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kilobytes.context("/proc/<pid>/status is not as expected")? * 1024)
}

pub fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").map_or("unknown".into(), |text| text.trim().to_owned())
}

/// Lets this process and its children have `wanted` files open, or as many as the machine allows.
///
/// # Errors
/// When the limit cannot be read or set.
pub fn raise_open_files(wanted: u64) -> io::Result<()> {
    rlimit::increase_nofile_limit(wanted).map(|_| ())
}
