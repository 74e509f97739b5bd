//! Process 1 of a container. The kernel gives it every process whose parent has ended, and it must collect them when they end. It
//! starts Sidekey as its child for that, because Sidekey itself waits for single processes only: for the command, and for commands
//! that print secrets.

use std::process::{Command, ExitCode};

use nix::unistd::Pid;

use super::supervise::{Collect, Signals};
use crate::cli::exit::{EXIT_NOT_STARTED, cannot_start};

/// Whether this process is process 1.
pub(super) fn is_needed() -> bool {
    std::process::id() == 1
}

/// Runs this program again as a child, until it ends.
pub(super) fn run() -> ExitCode {
    match supervise() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            cannot_start(&error);
            ExitCode::from(EXIT_NOT_STARTED)
        }
    }
}

fn supervise() -> anyhow::Result<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut signals = Signals::new()?;
        let child = Command::new("/proc/self/exe").args(std::env::args_os().skip(1)).spawn()?;
        Ok(signals.supervise(Pid::from_raw(child.id().cast_signed()), Collect::All).await)
    })
}
