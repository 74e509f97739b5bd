//! Notifies systemd of the state of the process (`sd_notify(3)`), for services with `Type=notify`.

use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// This process serves, and is the main process of the service.
pub(super) fn ready() {
    notify(&format!("MAINPID={}\nREADY=1", std::process::id()));
}

/// A reload begins. With `Type=notify-reload`, systemd waits from here on.
pub(super) fn reloading() {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
}

/// The reload has ended. `systemctl status` shows the outcome.
pub(super) fn reloaded(is_applied: bool) {
    let status = if is_applied {
        "the configuration on disk is in use"
    } else {
        "the configuration on disk cannot be used and the previous one stays in use; see the log"
    };
    notify(&format!("READY=1\nSTATUS={status}"));
}

/// The process works (`WatchdogSec=`).
pub(super) fn watchdog() {
    notify("WATCHDOG=1");
}

/// The process shuts down.
pub(super) fn stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&name),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        tracing::warn!("cannot notify systemd: {error}");
    }
}
