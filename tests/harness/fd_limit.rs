//! The limit on open files of a test and of the programs that it starts.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the limit to `count` if it is lower: a shell's is usually 1024. Never lowers it, because tests may
/// share a process.
pub fn allow_descriptors(count: u64) {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard >= count, "this test needs {count} descriptors; `ulimit -Hn` allows {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, soft.max(count), hard).unwrap();
}
