//! Signals to a child process, its end, and its exit code.
//!
//! The child is in the process group of this process, so that job control works and the terminal is usable. What the terminal
//! sends, it sends to both. It is not sent a second time.

use std::io;

use nix::sys::signal::{Signal as Number, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgrp, getpid};
use rustix::fs::{Mode, OFlags};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which ended processes are collected.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Collect {
    /// The child alone. Commands that print secrets are waited for elsewhere.
    Child,
    /// Every process, as process 1 must.
    All,
}

/// The signals that are handled while a child runs.
pub(super) struct Signals {
    child: Signal,
    forwarded: Vec<(Number, Signal)>,
    /// A limit on the size of files ends a process that has no handler; with one, the write fails.
    _file_size: Signal,
}

/// Signals that are passed on, and whether a terminal sends them to the whole group.
const FORWARDED: [(Number, bool); 9] = [
    (Number::SIGTERM, false),
    (Number::SIGHUP, false),
    // It continues a command that was stopped, and with which this process stopped.
    (Number::SIGCONT, false),
    (Number::SIGUSR1, false),
    (Number::SIGUSR2, false),
    (Number::SIGINT, true),
    (Number::SIGQUIT, true),
    (Number::SIGTSTP, true),
    (Number::SIGWINCH, true),
];

impl Signals {
    /// Handles the signals from now on, on the current tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let open = |number: Number| signal(SignalKind::from_raw(number as i32));
        let forwarded = FORWARDED.iter().map(|(number, _)| Ok((*number, open(*number)?)));
        Ok(Self {
            child: signal(SignalKind::child())?,
            forwarded: forwarded.collect::<io::Result<_>>()?,
            _file_size: open(Number::SIGXFSZ)?,
        })
    }

    /// Passes signals to the child until it ends; returns its exit code. May be called again if it is cancelled.
    pub(super) async fn supervise(&mut self, child: Pid, collect: Collect) -> u8 {
        loop {
            if let Some(code) = collect_ended(child, collect) {
                return code;
            }
            tokio::select! {
                _ = self.child.recv() => {}
                number = next(&mut self.forwarded) => forward(number, child),
            }
        }
    }
}

/// The next of these signals.
async fn next(signals: &mut [(Number, Signal)]) -> Number {
    std::future::poll_fn(|context| {
        let received = signals
            .iter_mut()
            .find_map(|(number, signal)| signal.poll_recv(context).is_ready().then_some(*number));
        received.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

fn forward(number: Number, child: Pid) {
    let is_of_terminal = FORWARDED.iter().any(|(known, of_terminal)| *known == number && *of_terminal);
    if !(is_of_terminal && is_in_foreground()) {
        // It may have ended in the meantime.
        let _ = kill(child, number);
    }
}

/// Whether this process group has the terminal, which sends its signals to every process of that group.
fn is_in_foreground() -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open("/dev/tty", flags, Mode::empty());
    let group = terminal.ok().and_then(|terminal| rustix::termios::tcgetpgrp(terminal).ok());
    group.is_some_and(|group| group.as_raw_nonzero().get() == getpgrp().as_raw())
}

/// Collects processes that have ended; returns the exit code of the child if it is one of them. If the child was stopped, this
/// process stops as well, so that the shell takes the terminal back.
fn collect_ended(child: Pid, collect: Collect) -> Option<u8> {
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::WUNTRACED;
    let of = if collect == Collect::All { None } else { Some(child) };
    loop {
        match waitpid(of, Some(flags)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Some(code.to_le_bytes()[0]),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Some(128_u8.wrapping_add((signal as i32).to_le_bytes()[0]));
            }
            Ok(WaitStatus::Stopped(pid, _)) if pid == child => {
                let _ = kill(getpid(), Number::SIGSTOP);
            }
            Ok(WaitStatus::StillAlive) => return None,
            Ok(_) => {}
            Err(nix::errno::Errno::EINTR) => {}
            // It is no child any more: what it ended with is not known.
            Err(_) => return Some(1),
        }
    }
}
