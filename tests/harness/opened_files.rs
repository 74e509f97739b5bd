//! Counts which files of a folder any process opens.

use std::collections::BTreeSet;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::inotify;
use rustix::io::Errno;

/// The files of a folder that were opened.
pub struct OpenedFiles(OwnedFd);

impl OpenedFiles {
    /// Watches the files of a folder from now on.
    pub fn of(folder: &Path) -> Self {
        let queue = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&queue, folder, inotify::WatchFlags::OPEN).unwrap();
        Self(queue)
    }

    /// The names of the files that were opened since the last call.
    pub fn take(&self) -> BTreeSet<String> {
        let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
        let (mut events, mut names) = (inotify::Reader::new(&self.0, &mut buffer), BTreeSet::new());
        loop {
            match events.next() {
                Ok(event) => {
                    assert!(!event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW), "events were lost");
                    names.extend(event.file_name().map(|name| name.to_string_lossy().into_owned()));
                }
                Err(Errno::AGAIN) => return names,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
