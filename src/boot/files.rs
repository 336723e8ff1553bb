//! How many files and connections the process may have open.

/// A call takes two, besides those of the database and of the page that somebody looks at: with fewer than this, some
/// hundred streams at once are too many.
const FEW: u64 = 4_096;

/// Takes as many as the system lets it have. The usual limit of 1,024 is there for programs that call `select(2)`, which cannot
/// count beyond it; this one does not (systemd.exec(5), "Process Properties", `LimitNOFILE`).
pub fn open_many() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= FEW => tracing::debug!(limit, "open files"),
        Ok(limit) => tracing::warn!(
            limit,
            "few files and connections may be open at once; raise the hard limit (`ulimit -Hn`, `LimitNOFILE`)"
        ),
        Err(error) => tracing::warn!(%error, "the limit of open files could not be raised"),
    }
}
