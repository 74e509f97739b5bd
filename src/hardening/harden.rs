//! All of it, in order, and what is in force.

use nix::sys::prctl;

use super::outcome::{IN_FORCE, Outcome, text};
use super::writes::Writable;
use super::{memory, syscalls, writes};

/// What is in force.
#[must_use]
#[derive(Debug)]
pub struct InForce {
    no_core_dump: Outcome,
    not_traceable: Outcome,
    memory_locked: Outcome,
    no_new_privileges: Outcome,
    writes: Outcome,
    system_calls: Outcome,
}

/// Restricts the process as far as the kernel can. Threads that exist already are not restricted in what they write.
pub fn harden(writable: &Writable) -> InForce {
    InForce {
        no_core_dump: memory::forbid_core_dumps(),
        not_traceable: memory::forbid_tracing(),
        memory_locked: memory::lock(),
        // Before both of the others, which need it.
        no_new_privileges: prctl::set_no_new_privs().map(|()| IN_FORCE).map_err(|error| error.to_string()),
        writes: writes::restrict(writable),
        system_calls: syscalls::restrict(),
    }
}

impl InForce {
    /// Logs what is in force, in one line.
    pub fn log(&self) {
        tracing::info!(
            hardening.no_core_dump = text(&self.no_core_dump),
            hardening.not_traceable = text(&self.not_traceable),
            hardening.memory_locked = text(&self.memory_locked),
            hardening.no_new_privileges = text(&self.no_new_privileges),
            hardening.writes = text(&self.writes),
            hardening.system_calls = text(&self.system_calls),
            "process hardened"
        );
    }
}
