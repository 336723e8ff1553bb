//! The `farebox` program.

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    keep_pages_small();
    farebox::cli::main()
}

/// Pages of two megabytes, where an allocator asks for them or the kernel gives them unasked, are given whole: with many streams
/// open, a quarter of the memory was never used. See docs/performance.md; prctl(2), `PR_SET_THP_DISABLE`.
#[cfg(target_os = "linux")]
fn keep_pages_small() {
    // SAFETY: takes numbers only, and changes a flag of this process. A kernel that does not know it changes nothing.
    unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, 1_u64, 0_u64, 0_u64, 0_u64) };
}

#[cfg(not(target_os = "linux"))]
fn keep_pages_small() {}
