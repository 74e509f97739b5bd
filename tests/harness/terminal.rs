//! A program at a terminal, and the person in front of it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use nix::pty::{OpenptyResult, Winsize, openpty};
use nix::sys::termios::{LocalFlags, tcgetattr};
use parking_lot::Mutex;

use super::{TIMEOUT, assert_eventually};

/// A program whose standard input, output and error are a terminal. It is killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// How much of the screen a test has looked at.
    seen: usize,
}

impl Terminal {
    /// Starts a program at a new terminal.
    pub fn spawn(command: &mut Command) -> Self {
        let size = Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
        let OpenptyResult { master, slave } = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(slave.try_clone().unwrap());
        let command = command.env("TERM", "xterm").stdin(end()).stdout(end()).stderr(end());
        let child = command.spawn().unwrap();
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut reader, written) = (File::from(master.try_clone().unwrap()), screen.clone());
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                written.lock().extend_from_slice(&buffer[..length]);
            }
        });
        Self { child, keyboard: File::from(master), screen, seen: 0 }
    }

    /// Waits until a text is shown that was not shown before the last one.
    pub async fn expect(&mut self, text: &str) {
        let mut found = None;
        let what = format!("the terminal shows {text:?}");
        let (screen, seen) = (self.screen.clone(), self.seen);
        assert_eventually(TIMEOUT, &what, async || {
            let screen = screen.lock();
            found = screen[seen..].windows(text.len()).position(|part| part == text.as_bytes());
            found.is_some()
        })
        .await;
        self.seen += found.unwrap() + text.len();
    }

    /// Types keys once the program reads them, which it does without an echo; `\r` is the Enter key. What is typed before
    /// that may be discarded.
    pub async fn type_keys(&mut self, keys: &str) {
        let keyboard = self.keyboard.try_clone().unwrap();
        assert_eventually(TIMEOUT, "the program reads keys", async || {
            !tcgetattr(&keyboard).unwrap().local_flags.contains(LocalFlags::ECHO)
        })
        .await;
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Everything that was shown.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock()).into_owned()
    }

    /// Waits until the program ends.
    pub async fn ended(&mut self) -> ExitStatus {
        assert_eventually(TIMEOUT, "the program ends", async || self.child.try_wait().unwrap().is_some())
            .await;
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    #[allow(clippy::print_stderr)] // shown by the test runner, for a failed test alone
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- what the terminal shows:\n{}", self.screen());
        }
    }
}
