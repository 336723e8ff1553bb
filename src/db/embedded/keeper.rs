//! The thread that starts the server, waits for it, and starts it again.
//!
//! The kernel ties a child's death signal to the *thread* that spawned it, so
//! the server needs a thread that does nothing else and lives as long as it.

use std::collections::VecDeque;
use std::process::Child;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::binaries::Binaries;
use super::cluster::{self, POLL, PidFile};
use super::place::Place;
use super::{EmbeddedError, Profile, io};

/// A server that keeps dying is started at most this often; then it waits.
const RESTARTS_PER_MINUTE: usize = 30;
const MINUTE: Duration = Duration::from_secs(60);

/// A server that does not come up is tried again after this, then after twice
/// as long, and so on up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LONGEST: Duration = Duration::from_secs(10);

/// How long a start may take. After a crash the server replays its log first.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// How long a clean stop may take before it becomes a hurried one.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// How long a hurried stop may take before the server is killed.
const HURRY_LIMIT: Duration = Duration::from_secs(5);

/// How long [`Shared::restart`] waits for the whole of it.
const RESTART_LIMIT: Duration = Duration::from_secs(150);

/// What the keeper is to do when the server has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Run,
    Restart,
    Stop,
}

#[derive(Debug)]
struct State {
    wish: Wish,
    pid: Option<libc::pid_t>,
    /// How many servers were spawned, and which of them was the last to take connections.
    spawned: u64,
    ready: u64,
}

/// What the keeper and the owner of the server share.
#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// Starts the keeper and returns when the first server is ready.
pub(super) fn launch(place: Place, profile: Profile) -> Result<(Arc<Shared>, JoinHandle<()>), EmbeddedError> {
    let state = State { wish: Wish::Run, pid: None, spawned: 0, ready: 0 };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    let (report, first) = sync_channel(1);
    let keeper = Keeper { shared: Arc::clone(&shared), place, profile };
    let thread = std::thread::Builder::new()
        .name("postgres-keeper".to_owned())
        .spawn(move || keeper.work(&report))
        .map_err(io("start the thread that watches Postgres"))?;
    match first.recv() {
        Ok(Ok(())) => Ok((shared, thread)),
        Ok(Err(error)) => {
            // Joined so that the lock is free when the error is seen.
            let _ = thread.join();
            Err(error)
        }
        Err(_) => Err(EmbeddedError::Stopped),
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait_while(&self, limit: Duration, condition: impl FnMut(&mut State) -> bool) -> MutexGuard<'_, State> {
        let waited = self.changed.wait_timeout_while(self.lock(), limit, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.lock().pid.map(libc::pid_t::unsigned_abs)
    }

    /// Signals the server. The lock is held, so that the keeper cannot reap the
    /// process meanwhile and its id cannot pass to another one.
    fn signal(state: &State, signal: libc::c_int) {
        if let Some(pid) = state.pid {
            // SAFETY: plain system call on a child that is not yet reaped.
            unsafe { libc::kill(pid, signal) };
        }
    }

    pub(super) fn stop(&self) {
        let steps = [(libc::SIGINT, STOP_LIMIT), (libc::SIGQUIT, HURRY_LIMIT), (libc::SIGKILL, HURRY_LIMIT)];
        self.lock().wish = Wish::Stop;
        self.changed.notify_all();
        for (signal, limit) in steps {
            Self::signal(&self.lock(), signal);
            if self.wait_while(limit, |state| state.pid.is_some()).pid.is_none() {
                return;
            }
            tracing::warn!(signal, "Postgres did not stop in time; trying harder");
        }
    }

    pub(super) fn restart(&self, log: &std::path::Path) -> Result<(), EmbeddedError> {
        // Only a server spawned from now on counts. The present one may still be on its way up and be told ready after
        // this, and that would not be a restart.
        let wanted = {
            let mut state = self.lock();
            if state.wish == Wish::Stop {
                return Err(EmbeddedError::Stopped);
            }
            state.wish = Wish::Restart;
            Self::signal(&state, libc::SIGINT);
            state.spawned + 1
        };
        let waiting = |state: &mut State| state.ready < wanted && state.wish != Wish::Stop;
        let state = self.wait_while(RESTART_LIMIT, waiting);
        if state.ready >= wanted {
            return Ok(());
        }
        let (seconds, log) = (RESTART_LIMIT.as_secs(), log.to_owned());
        Err(EmbeddedError::TimedOut { what: "restarting Postgres", seconds, log })
    }
}

struct Keeper {
    shared: Arc<Shared>,
    place: Place,
    profile: Profile,
}

impl Keeper {
    fn work(self, report: &SyncSender<Result<(), EmbeddedError>>) {
        let mut restarts = VecDeque::new();
        let mut retry = RETRY_FIRST;
        let mut first = true;
        loop {
            match self.bring_up() {
                Ok(mut child) => {
                    retry = RETRY_FIRST;
                    if std::mem::take(&mut first) {
                        // The receiver waits for exactly this.
                        let _ = report.send(Ok(()));
                    }
                    self.watch(&mut child);
                }
                Err(error) if first => {
                    let _ = report.send(Err(error));
                    return;
                }
                Err(EmbeddedError::Stopped) => {}
                Err(error) => {
                    tracing::error!(%error, "the embedded Postgres does not start; trying again");
                    self.pause(retry);
                    retry = (retry * 2).min(RETRY_LONGEST);
                }
            }
            match self.shared.lock().wish {
                Wish::Stop => return,
                Wish::Restart => continue,
                Wish::Run => tracing::warn!("the embedded Postgres died; starting it again"),
            }
            self.pause(delay(&mut restarts, Instant::now()));
        }
    }

    /// From whatever the directory looks like to a server that is ready.
    fn bring_up(&self) -> Result<Child, EmbeddedError> {
        cluster::heal(&self.place.data_dir)?;
        let made_by = self.place.made_by();
        let binaries = Binaries::find(self.place.user, &self.place.data_dir, made_by)?;
        cluster::ensure(&self.place, &binaries, self.profile)?;
        let from = cluster::log_length(&self.place);
        let mut child = {
            // Under the lock, so that a stop sees the process or prevents it.
            let mut state = self.shared.lock();
            if state.wish == Wish::Stop {
                return Err(EmbeddedError::Stopped);
            }
            state.wish = Wish::Run;
            let child = cluster::spawn(&self.place, &binaries, self.profile)?;
            state.pid = i32::try_from(child.id()).ok();
            state.spawned += 1;
            child
        };
        match self.await_ready(&child, from) {
            Ok(()) => {
                let mut state = self.shared.lock();
                state.ready = state.spawned;
                drop(state);
                self.shared.changed.notify_all();
                Ok(child)
            }
            Err(error) => {
                Shared::signal(&self.shared.lock(), libc::SIGQUIT);
                self.watch(&mut child);
                Err(error)
            }
        }
    }

    /// Waits for the server's own word that it takes connections.
    fn await_ready(&self, child: &Child, from: u64) -> Result<(), EmbeddedError> {
        const WHAT: &str = "starting Postgres";
        let deadline = Instant::now() + READY_LIMIT;
        while Instant::now() < deadline {
            if has_ended(child, libc::WNOHANG) {
                return Err(match self.shared.lock().wish {
                    Wish::Stop => EmbeddedError::Stopped,
                    _ => cluster::failed(&self.place, WHAT, from),
                });
            }
            let ready = PidFile::read(&self.place.data_dir)
                .is_some_and(|file| file.pid.unsigned_abs() == child.id() && file.state == "ready");
            if ready {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        let (seconds, log) = (READY_LIMIT.as_secs(), self.place.log_file.clone());
        Err(EmbeddedError::TimedOut { what: WHAT, seconds, log })
    }

    /// Waits for the server's end, and only then lets go of its process id.
    fn watch(&self, child: &mut Child) {
        while !has_ended(child, 0) {}
        let mut state = self.shared.lock();
        match child.wait() {
            Ok(status) => tracing::info!(%status, "the embedded Postgres has ended"),
            Err(error) => tracing::error!(%error, "cannot tell how the embedded Postgres ended"),
        }
        state.pid = None;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Sleeps, but not longer than until somebody wants a stop.
    fn pause(&self, time: Duration) {
        drop(self.shared.wait_while(time, |state| state.wish != Wish::Stop));
    }
}

/// Whether the child has ended, leaving it to be reaped. With no flag it blocks
/// until that is so, or until a signal interrupts it.
fn has_ended(child: &Child, flag: libc::c_int) -> bool {
    // SAFETY: the structure is plain data for which all zeros is valid, and the
    // call writes nothing else.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let flags = libc::WEXITED | libc::WNOWAIT | flag;
        if libc::waitid(libc::P_PID, child.id(), &raw mut info, flags) == 0 {
            return info.si_pid() != 0;
        }
    }
    // Any other error means that there is no such child to wait for.
    std::io::Error::last_os_error().kind() != std::io::ErrorKind::Interrupted
}

/// How long to wait before one more restart, so that no minute has more of them
/// than the limit. Records it.
fn delay(restarts: &mut VecDeque<Instant>, now: Instant) -> Duration {
    while restarts.len() > RESTARTS_PER_MINUTE {
        restarts.pop_front();
    }
    let wait = match restarts.front() {
        Some(oldest) if restarts.len() == RESTARTS_PER_MINUTE => MINUTE.saturating_sub(now.duration_since(*oldest)),
        _ => Duration::ZERO,
    };
    restarts.push_back(now + wait);
    wait
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the keeper does when the server that it spawned last takes connections.
    fn becomes_ready(shared: &Shared) {
        let mut state = shared.lock();
        state.ready = state.spawned;
        drop(state);
        shared.changed.notify_all();
    }

    #[test]
    fn a_restart_is_not_satisfied_by_a_server_that_was_on_its_way_up_before() {
        let state = State { wish: Wish::Run, pid: None, spawned: 2, ready: 1 };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let asked = Arc::clone(&shared);
        let restart = std::thread::spawn(move || asked.restart(std::path::Path::new("log")).is_ok());
        while shared.lock().wish != Wish::Restart {
            std::thread::yield_now();
        }
        // The second server takes connections only now, after the restart was asked for.
        becomes_ready(&shared);
        std::thread::sleep(Duration::from_millis(100));
        assert!(!restart.is_finished(), "the server from before counted as the restarted one");
        shared.lock().spawned += 1;
        becomes_ready(&shared);
        assert!(restart.join().unwrap());
    }

    #[test]
    fn restarts_are_free_up_to_the_limit_and_then_wait_for_the_minute_to_pass() {
        let now = Instant::now();
        let mut restarts = VecDeque::new();
        for _ in 0..RESTARTS_PER_MINUTE {
            assert_eq!(delay(&mut restarts, now), Duration::ZERO);
        }
        let later = now + Duration::from_secs(10);
        assert_eq!(delay(&mut restarts, later), Duration::from_secs(50));
        assert_eq!(delay(&mut restarts, now + MINUTE), Duration::ZERO);
    }
}
