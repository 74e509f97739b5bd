//! The memory of the process, which has secrets: it is in no core dump, no process of the same user can read it, and it is not
//! swapped.

use std::fs::read_link;
use std::path::Path;

use nix::libc;
use nix::sys::mman::{MlockAllFlags, mlockall};
use nix::sys::prctl;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};

use rustix::system::sysinfo;
use rustix::thread::{CapabilitySet, capabilities};

use super::outcome::{IN_FORCE, Outcome};

/// The user namespace of the machine, which has the same number in every kernel (`PROC_USER_INIT_INO`).
const INITIAL_USER_NAMESPACE: &str = "user:[4026531837]";

/// Makes the memory of the process and its environment unreadable for processes of the same user, whatever else is restricted.
pub fn protect_memory() -> Result<(), String> {
    forbid_tracing().map(drop)
}

/// Sets the limit on core dumps to 0.
pub(super) fn forbid_core_dumps() -> Outcome {
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map(|()| IN_FORCE).map_err(|error| error.to_string())
}

/// Makes the process one that only a privileged user can trace. That covers core dumps that are piped to a program, for which the limit
/// does not count, and the files below `/proc/PID` that show memory and environment.
pub(super) fn forbid_tracing() -> Outcome {
    prctl::set_dumpable(false).map(|()| IN_FORCE).map_err(|error| error.to_string())
}

/// Locks what the process has touched of its memory, now and later, so that it is not written to a swap device.
///
/// - All of it, because a secret is in more places than one, such as the buffers of libraries.
/// - Only if the machine has swap: the kernel does not take back pages that are locked, so that the process stays as large as it ever was.
/// - Only without a limit: the kernel compares the limit on locked memory with the address space, of which the allocator reserves a
///   gigabyte, and beyond it every further allocation would fail.
pub(super) fn lock() -> Outcome {
    if sysinfo().totalswap == 0 {
        return Ok("not needed, there is no swap");
    }
    if !has_no_limit() {
        return Err(
            "locked memory is limited (RLIMIT_MEMLOCK), and there is no capability CAP_IPC_LOCK".into()
        );
    }
    // Not what is only reserved: pages are locked once they are touched (Linux 4.4). `nix` has no name for it.
    let on_fault = MlockAllFlags::from_bits_retain(libc::MCL_ONFAULT);
    let flags = MlockAllFlags::MCL_CURRENT | MlockAllFlags::MCL_FUTURE | on_fault;
    mlockall(flags).map(|()| IN_FORCE).map_err(|error| error.to_string())
}

fn has_no_limit() -> bool {
    let is_unlimited = || {
        let (_, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
        // The soft limit counts, and anybody may raise it that far.
        setrlimit(Resource::RLIMIT_MEMLOCK, hard, hard).map(|()| hard == RLIM_INFINITY)
    };
    // The kernel asks for the capability in the initial user namespace. In another one it is there and has no effect.
    let is_exempt = || {
        let sets = capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK));
        sets && read_link("/proc/self/ns/user").is_ok_and(|name| name == Path::new(INITIAL_USER_NAMESPACE))
    };
    is_unlimited().unwrap_or(false) || is_exempt()
}
