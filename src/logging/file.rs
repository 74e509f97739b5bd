//! A file that the log is appended to.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file that is open for the log.
pub struct LogFile(pub(super) File);

impl LogFile {
    /// Opens it. A new one can be read by its owner only.
    pub fn append(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(Self)
    }
}
