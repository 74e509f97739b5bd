//! The memory of the process, which has secrets: it is in no core dump, and no process of the same user can read it.

use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};

use super::outcome::{IN_FORCE, Outcome};

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
