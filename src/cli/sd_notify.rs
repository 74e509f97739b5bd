//! What systemd is told (`sd_notify`), where it wants to know: `Type=notify`.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// This process serves, and is the one that counts.
pub(super) fn serving() {
    tell(&format!("MAINPID={}\nREADY=1", std::process::id()));
}

/// It was asked to reload; a manager that asked (`Type=notify-reload`) waits from here on.
pub(super) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

/// The reload is over, and this is what `systemctl status` shows of it.
pub(super) fn reloaded(is_taken: bool) {
    let status = if is_taken {
        "the configuration on disk is in use"
    } else {
        "the configuration on disk cannot be used, the one before is in use; the log says why"
    };
    tell(&format!("READY=1\nSTATUS={status}"));
}

/// It ends.
pub(super) fn stopping() {
    tell("STOPPING=1");
}

fn tell(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let told = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = told {
        tracing::warn!("cannot notify systemd: {error}");
    }
}
