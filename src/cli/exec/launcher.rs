//! The process that becomes the command. It is started before Sidekey restricts itself, and waits for its environment.
//!
//! ```text
//! sidekey exec                       launcher
//! starts it, with an empty
//! environment, and one end of
//! a socket as standard input  ->     is killed when its parent ends
//! 'c', with the terminal or file
//! that is its standard input  ->
//! NAME=VALUE NUL … NUL        ->
//! closes                      ->     becomes the command
//! ```
//!
//! If the socket is closed before the last NUL, Sidekey did not start, and the launcher ends.

use std::ffi::{OsStr, OsString};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

use crate::cli::exit::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_NOT_STARTED};

/// The first argument of a launcher. It is no subcommand: no help and no completion has it.
const LAUNCHER: &str = "exec-launcher";

/// Precedes the environment, with the standard input.
const COMMAND: u8 = b'c';

/// Environment variables.
pub(super) type Variables = Vec<(OsString, OsString)>;

/// The command before it runs. It is killed if this is dropped before that.
pub(super) struct Launcher {
    socket: UnixStream,
    pid: Pid,
    is_command: bool,
}

impl Launcher {
    /// Starts it. Must be called by a thread that lives as long as the process: the kernel kills the launcher when that thread ends.
    pub(super) fn start(command: &[OsString]) -> io::Result<Self> {
        let (socket, of_launcher) = UnixStream::pair()?;
        let child = Command::new("/proc/self/exe")
            .arg0("sidekey")
            .arg(LAUNCHER)
            .arg("--")
            .args(command)
            // The environment of a process can be read below /proc as long as it runs.
            .env_clear()
            .stdin(Stdio::from(OwnedFd::from(of_launcher)))
            .spawn()?;
        let pid = Pid::from_raw(child.id().cast_signed());
        Ok(Self { socket, pid, is_command: false })
    }

    /// The process, which is later that of the command.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Says that it was found to have ended.
    pub(super) fn has_ended(&mut self) {
        self.is_command = true;
    }

    /// Lets it become the command, with this environment and the standard input of this process.
    pub(super) fn run(mut self, variables: &Variables) -> io::Result<()> {
        send_standard_input(&self.socket)?;
        let mut message = Vec::new();
        for (name, value) in variables {
            message.extend([name.as_bytes(), b"=", value.as_bytes(), b"\0"].concat());
        }
        message.push(0);
        self.socket.write_all(&message)?;
        self.is_command = true;
        Ok(())
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        if self.is_command {
            return;
        }
        // It ends by itself as well, because its socket is closed. Here it is waited for.
        let _ = kill(self.pid, Signal::SIGKILL);
        let _ = waitpid(self.pid, None);
    }
}

/// The command, if these are the arguments of a launcher.
pub(in crate::cli) fn command_of_launcher(
    mut arguments: impl Iterator<Item = OsString>,
) -> Option<Vec<OsString>> {
    let is_launcher = arguments.nth(1)? == LAUNCHER && arguments.next()? == "--";
    let command: Vec<_> = is_launcher.then(|| arguments.collect())?;
    (!command.is_empty()).then_some(command)
}

/// Waits for the environment, and becomes the command.
#[expect(clippy::print_stderr, reason = "a person reads it")]
pub(in crate::cli) fn launch(command: &[OsString]) -> ExitCode {
    // Before anything is waited for. If the parent has ended already, its end of the socket is closed.
    if let Err(error) = prctl::set_pdeathsig(Signal::SIGKILL) {
        eprintln!("cannot bind the command to Sidekey: {error}");
        return ExitCode::from(EXIT_NOT_STARTED);
    }
    let (standard_input, variables) = match receive() {
        Ok(Some(received)) => received,
        // Sidekey has said why it did not start.
        Ok(None) => return ExitCode::from(EXIT_NOT_STARTED),
        Err(error) => {
            eprintln!("cannot start the command: {error}");
            return ExitCode::from(EXIT_NOT_STARTED);
        }
    };
    let (program, arguments) = command.split_first().expect("it is not empty");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(variables).stdin(Stdio::from(standard_input));
    let error = command.exec();
    eprintln!("cannot run {}: {error}", program.display());
    ExitCode::from(if error.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE })
}

fn send_standard_input(socket: &UnixStream) -> io::Result<()> {
    let (standard_input, mut space) =
        (io::stdin(), [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))]);
    let descriptors = [standard_input.as_fd()];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let has_room = control.push(SendAncillaryMessage::ScmRights(&descriptors));
    debug_assert!(has_room);
    sendmsg(socket, &[IoSlice::new(&[COMMAND])], &mut control, SendFlags::empty())?;
    Ok(())
}

/// Receives standard input and environment; `None` if Sidekey closes the socket before.
fn receive() -> io::Result<Option<(OwnedFd, Variables)>> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let read = recvmsg(socket.as_fd(), &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    let (1, COMMAND, Some(standard_input)) = (read.bytes, byte[0], descriptor) else { return Ok(None) };
    let mut message = Vec::new();
    socket.read_to_end(&mut message)?;
    Ok(variables(&message).map(|variables| (standard_input, variables)))
}

/// The variables of a message; `None` if it is not complete.
fn variables(message: &[u8]) -> Option<Variables> {
    let entries = message.strip_suffix(b"\0")?;
    let entries = entries.strip_suffix(b"\0").or(entries.is_empty().then_some(entries))?;
    let variable = |entry: &[u8]| {
        // A name may begin with `=`.
        let at = entry.iter().skip(1).position(|byte| *byte == b'=')? + 1;
        let text = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
        Some((text(&entry[..at]), OsString::from_vec(entry[at + 1..].to_vec())))
    };
    if entries.is_empty() {
        return Some(Vec::new());
    }
    entries.split(|byte| *byte == 0).map(variable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incomplete_message_is_no_environment() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        assert_eq!(variables(b"A=b=c\0B=\0\0"), Some(vec![pair("A", "b=c"), pair("B", "")]));
        assert_eq!(variables(b"\0"), Some(Vec::new()));
        for incomplete in [&b""[..], b"A=b", b"A=b\0", b"A\0\0"] {
            assert_eq!(variables(incomplete), None, "{incomplete:?}");
        }
    }
}
