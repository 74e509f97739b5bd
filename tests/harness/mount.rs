//! Files that are replaced under a running program, in every way that files are.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How files are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As Kubernetes does it: a folder's symbolic link leads to other files, all at once.
    Symlink,
    /// As most programs do it: another file under the same name, one after the other.
    Rename,
    /// As `cp` does it: emptied, and filled.
    Truncate,
}

/// A folder of files that are replaced.
pub struct Mount {
    dir: tempfile::TempDir,
    way: Way,
    versions: AtomicUsize,
}

impl Mount {
    pub fn new(way: Way, files: &[(&str, &str)]) -> Self {
        let mount = Self { dir: tempfile::tempdir().unwrap(), way, versions: AtomicUsize::new(0) };
        if way == Way::Symlink {
            mount.swap(files);
            for (name, _) in files {
                symlink(format!("..data/{name}"), mount.at(name)).unwrap();
            }
        } else {
            for (name, content) in files {
                fs::write(mount.at(name), content).unwrap();
            }
        }
        mount
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Another version of these files, the others as they are.
    fn swap(&self, files: &[(&str, &str)]) {
        let version = format!("..version{}", self.versions.fetch_add(1, Ordering::Relaxed));
        fs::create_dir(self.at(&version)).unwrap();
        for old in fs::read_dir(self.at("..data")).into_iter().flatten() {
            let old = old.unwrap();
            fs::copy(old.path(), self.at(&version).join(old.file_name())).unwrap();
        }
        for (name, content) in files {
            fs::write(self.at(&version).join(name), content).unwrap();
        }
        let old = fs::read_link(self.at("..data"));
        symlink(version, self.at("..data_tmp")).unwrap();
        fs::rename(self.at("..data_tmp"), self.at("..data")).unwrap();
        if let Ok(old) = old {
            fs::remove_dir_all(self.at(old.to_str().unwrap())).unwrap();
        }
    }

    /// The folder.
    pub fn path(&self) -> &str {
        self.dir.path().to_str().unwrap()
    }

    /// Replaces files. `seen` waits until the state in the middle, which cannot be used, was noticed.
    pub async fn replace(&self, files: &[(&str, &str)], seen: impl AsyncFn()) {
        match self.way {
            Way::Symlink => self.swap(files),
            Way::Rename => {
                for (number, (name, content)) in files.iter().enumerate() {
                    if number > 0 {
                        // Such as a certificate with the key of the one before.
                        seen().await;
                    }
                    fs::write(self.at("new"), content).unwrap();
                    fs::rename(self.at("new"), self.at(name)).unwrap();
                }
            }
            Way::Truncate => {
                for (name, content) in files {
                    fs::write(self.at(name), &content[..content.len() / 3]).unwrap();
                    seen().await;
                    fs::write(self.at(name), content).unwrap();
                }
            }
        }
    }
}
