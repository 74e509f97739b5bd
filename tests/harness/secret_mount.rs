//! Files that are replaced under a running program, in each usual style.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How files are replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateStyle {
    /// As Kubernetes does: a symbolic link to a folder is switched, which replaces all files at once.
    Symlink,
    /// As most programs do: a new file is renamed to the same name, one file after the other.
    Rename,
    /// As `cp` does: truncated and written.
    Truncate,
}

/// A folder of files that are replaced.
pub struct SecretMount {
    dir: tempfile::TempDir,
    style: UpdateStyle,
    versions: AtomicUsize,
}

impl SecretMount {
    pub fn new(style: UpdateStyle, files: &[(&str, &str)]) -> Self {
        let mount = Self { dir: tempfile::tempdir().unwrap(), style, versions: AtomicUsize::new(0) };
        if style == UpdateStyle::Symlink {
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

    /// Switches to a new version of these files; the others are unchanged.
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

    /// Replaces files. `detected` waits until the intermediate state, which is unusable, was detected.
    pub async fn replace(&self, files: &[(&str, &str)], detected: impl AsyncFn()) {
        match self.style {
            UpdateStyle::Symlink => self.swap(files),
            UpdateStyle::Rename => {
                for (number, (name, content)) in files.iter().enumerate() {
                    if number > 0 {
                        // For example a certificate with the key of the previous one.
                        detected().await;
                    }
                    fs::write(self.at("new"), content).unwrap();
                    fs::rename(self.at("new"), self.at(name)).unwrap();
                }
            }
            UpdateStyle::Truncate => {
                for (name, content) in files {
                    fs::write(self.at(name), &content[..content.len() / 3]).unwrap();
                    detected().await;
                    fs::write(self.at(name), content).unwrap();
                }
            }
        }
    }
}
