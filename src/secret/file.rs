//! Reads files that are named in the configuration, and the configuration itself: the only place that opens
//! them. Files of the program's own are opened here without following a symbolic link, which somebody else
//! may have put there to have another file read or overwritten. Only regular files are read, up to a size and
//! within a time limit, so that a FIFO, a device or a file system that does not answer is an error instead of
//! a process that hangs.

use std::fmt;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::in_time::in_time;
use super::invisible::begins_with_byte_order_mark;
use super::stamp::{Stamp, Stamps};

/// The first buffer for content whose size is not known.
const FIRST_BYTES: usize = 4 * 1024;

/// Why a file cannot be read. The text contains nothing of the file, and no path.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path leads to something else: a FIFO, a device, a socket, a folder.
    #[error("it is {0}, not a regular file")]
    NotRegular(&'static str),
    /// A PEM file begins with the byte order mark of UTF-8. A parser would not find what stands first in it, and
    /// go on with what comes next.
    #[error("it begins with a byte order mark (U+FEFF); save it as UTF-8 without one")]
    ByteOrderMark,
    /// The file is larger than the limit, in bytes.
    #[error("larger than {}", Size(*.0))]
    TooLarge(usize),
    /// The system reports an error, or does not answer.
    #[error("{}", text(.0))]
    Io(#[from] io::Error),
}

/// Reads a regular file of at most `max` bytes into memory that is wiped when it is dropped. Fails within
/// seconds if the file system does not answer.
pub fn read_file(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    in_time(path, move |path| read_regular(path, max))?
}

/// Reads a file as [`read_file`] does. Returns the stamp from before it was read as well: if it has the same one later, this is its content.
pub fn read_stamped(path: &Path, max: usize) -> (Option<Stamp>, Result<Zeroizing<Vec<u8>>, FileError>) {
    let read = in_time(path, move |path| (Stamps::default().of(path), read_regular(path, max)));
    read.unwrap_or_else(|error| (None, Err(error.into())))
}

/// Reads a PEM file as [`read_file`] does.
pub fn read_pem_file(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let content = read_file(path, max)?;
    if begins_with_byte_order_mark(&content) { Err(FileError::ByteOrderMark) } else { Ok(content) }
}

/// The metadata of a file. Fails within seconds if the file system does not answer.
pub fn file_metadata(path: &Path) -> io::Result<Metadata> {
    in_time(path, |path| fs::metadata(path))?
}

/// Opens a regular file for writing, and makes it with mode 0600 if there is none. A symbolic link, whether
/// it leads anywhere or not, is an error, and so is a FIFO or a device.
pub fn open_private_file(path: &Path) -> io::Result<File> {
    // A FIFO without a reader does not delay the call.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let opened = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .custom_flags(flags)
        .open(path);
    let file = opened.map_err(|error| if is_symlink(path) { symlink_error() } else { error })?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file as [`read_file`] does. A symbolic link is an error.
pub fn read_private_file(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    if is_symlink(path) {
        return Err(FileError::Io(symlink_error()));
    }
    read_file(path, max)
}

fn is_symlink(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

fn symlink_error() -> io::Error {
    io::Error::other("it is a symbolic link, which is not followed; remove the link")
}

fn read_regular(path: &Path, max: usize) -> Result<Zeroizing<Vec<u8>>, FileError> {
    // Asked before the file is opened, because opening a device may already do something, and again after,
    // because the path may lead elsewhere by then.
    ensure_regular(fs::metadata(path)?.file_type())?;
    let mut file = open_without_waiting(path)?;
    let metadata = file.metadata()?;
    ensure_regular(metadata.file_type())?;
    let expected = usize::try_from(metadata.len()).ok().filter(|size| *size <= max);
    let expected = expected.ok_or(FileError::TooLarge(max))?;
    read_to_end(&mut file, expected, max)?.ok_or(FileError::TooLarge(max))
}

/// Opens a file for reading. A FIFO without a writer does not delay it, and a terminal does not become the
/// terminal of this process.
fn open_without_waiting(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn ensure_regular(kind: FileType) -> Result<(), FileError> {
    let what = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a FIFO",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(FileError::NotRegular(what))
}

/// Reads to the end, `max` bytes at most, into memory that is wiped when it is dropped; so is each smaller
/// buffer, if `expected` was too small. `None` if there is more.
pub fn read_to_end(
    reader: &mut impl Read,
    expected: usize,
    max: usize,
) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
    let size = |wanted: usize| wanted.min(max) + 1;
    let mut content = Zeroizing::new(vec![0; size(expected.max(FIRST_BYTES))]);
    let mut filled = 0;
    loop {
        match reader.read(&mut content[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if filled > max {
            return Ok(None);
        }
        if filled == content.len() {
            let mut larger = Zeroizing::new(vec![0; size(2 * filled)]);
            larger[..filled].copy_from_slice(&content);
            content = larger;
        }
    }
    // The content may be kept for as long as the process runs, and is mostly much smaller than the buffer, which is wiped here.
    Ok(Some(Zeroizing::new(content[..filled].to_vec())))
}

/// The text of an I/O error without `(os error 2)`.
fn text(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

/// A number of bytes that is a whole number of KiB.
struct Size(usize);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 / 1024 {
            kib if kib % 1024 == 0 => write!(f, "{} MiB", kib / 1024),
            kib => write!(f, "{kib} KiB"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use super::*;

    const MAX: usize = 64 * 1024;

    fn error(path: &Path) -> String {
        read_file(path, MAX).unwrap_err().to_string()
    }

    #[test]
    fn regular_file_is_read_up_to_the_limit() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for size in [0, 1, FIRST_BYTES, FIRST_BYTES + 1, MAX] {
            let content = vec![b'x'; size];
            fs::write(file.path(), &content).unwrap();
            assert_eq!(*read_file(file.path(), MAX).unwrap(), content);
        }
        fs::write(file.path(), vec![b'x'; MAX + 1]).unwrap();
        assert_eq!(error(file.path()), "larger than 64 KiB");
        assert_eq!(FileError::TooLarge(4 << 20).to_string(), "larger than 4 MiB");
    }

    #[test]
    fn pem_file_with_a_byte_order_mark_is_rejected() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "\u{feff}-----BEGIN CERTIFICATE-----").unwrap();
        let error = read_pem_file(file.path(), MAX).unwrap_err().to_string();
        assert_eq!(error, "it begins with a byte order mark (U+FEFF); save it as UTF-8 without one");
        assert!(read_file(file.path(), MAX).is_ok());
    }

    #[test]
    fn special_file_is_rejected_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let [fifo, socket, link] = ["fifo", "socket", "link"].map(|name| dir.path().join(name));
        mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        symlink(&fifo, &link).unwrap();
        assert_eq!(error(&fifo), "it is a FIFO, not a regular file");
        assert_eq!(error(&link), "it is a FIFO, not a regular file");
        assert_eq!(error(&socket), "it is a socket, not a regular file");
        assert_eq!(error(dir.path()), "it is a directory, not a regular file");
        assert_eq!(error(Path::new("/dev/zero")), "it is a device, not a regular file");
        assert_eq!(error(&dir.path().join("missing")), "No such file or directory");
        // It does not wait if the path leads to a FIFO by the time it is opened.
        let opened = open_without_waiting(&fifo).unwrap();
        assert!(ensure_regular(opened.metadata().unwrap().file_type()).is_err());
    }

    #[test]
    fn file_of_unknown_size_is_read_to_its_end() {
        // The system says that it has no bytes.
        let status = read_file(Path::new("/proc/self/status"), MAX).unwrap();
        assert!(status.starts_with(b"Name:") && status.ends_with(b"\n"));
        for (size, max, is_read) in
            [(10_000, 10_000, true), (10_001, 10_000, false), (1, 1, true), (2, 1, false)]
        {
            let content = vec![7; size];
            let read = read_to_end(&mut content.as_slice(), 0, max).unwrap();
            assert_eq!(read.is_some_and(|read| *read == content), is_read, "{size} of {max}");
        }
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("file"), "content").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("missing"), at("dangling")).unwrap();
        for name in ["link", "dangling"] {
            let error = open_private_file(&at(name)).unwrap_err().to_string();
            assert!(error.contains("symbolic link"), "{name}: {error}");
            let error = read_private_file(&at(name), 100).unwrap_err().to_string();
            assert!(error.contains("symbolic link"), "{name}: {error}");
        }
        assert!(!at("missing").exists());
        assert_eq!(fs::read(at("file")).unwrap(), b"content");
        open_private_file(&at("file")).unwrap();
        assert_eq!(**read_private_file(&at("file"), 100).unwrap(), *b"content");
    }

    #[test]
    fn fifo_is_an_error_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(open_private_file(&fifo).is_err());
    }
}
