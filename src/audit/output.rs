//! Where lines are written to.

use std::io;
use std::io::Write;
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

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all(lines),
            Self::Stdout => {
                let mut output = io::stdout().lock();
                output.write_all(lines)?;
                output.flush()
            }
        }
    }
}
