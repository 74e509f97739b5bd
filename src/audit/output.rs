//! Where lines are written to.

use std::io;
use std::io::{ErrorKind, Write};
use std::path::Path;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use crate::secret::open_private_file;

/// An output that is open.
pub(super) enum Output {
    File(Box<dyn Write + Send>),
    Stdout,
}

impl Output {
    /// Opens a file to add to, with mode 0600 if there is none; standard output without a path.
    pub(super) fn open(path: Option<&Path>) -> io::Result<Self> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let file = open_private_file(path)?;
        // Several processes may add to it, as in an upgrade.
        fcntl_setfl(&file, fcntl_getfl(&file)? | OFlags::APPEND)?;
        Ok(Self::File(Box::new(file)))
    }

    /// Writes bytes; returns how many, and why not all of them.
    pub(super) fn write(&mut self, bytes: &[u8]) -> (usize, io::Result<()>) {
        match self {
            Self::File(file) => write_all(file, bytes),
            Self::Stdout => {
                let mut output = io::stdout().lock();
                let (length, outcome) = write_all(&mut output, bytes);
                (length, outcome.and_then(|()| output.flush()))
            }
        }
    }
}

/// Like [`Write::write_all`], but says how much was written before an error.
fn write_all(output: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut length = 0;
    while length < bytes.len() {
        match output.write(&bytes[length..]) {
            Ok(0) => return (length, Err(ErrorKind::WriteZero.into())),
            Ok(written) => length += written,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return (length, Err(error)),
        }
    }
    (length, Ok(()))
}
