//! Why a change of a services file is not made.

use std::io;
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::edit::EditError;
use crate::secret::FolderError;

/// Why a change is not made. No text has a value of a file.
#[derive(Debug, thiserror::Error)]
pub enum ManageError {
    /// The configuration came from standard input.
    #[error("standard input cannot be changed; `--config` names a services file")]
    StandardInput,
    /// The main file is not there.
    #[error("{} does not exist; `--config` names another services file", .0.display())]
    NoFile(PathBuf),
    /// No file has the service.
    #[error("{0}")]
    NoService(String),
    /// The main file does not lead to the other.
    #[error("{} does not include {}", main.display(), file.display())]
    NotIncluded {
        /// The main file.
        main: PathBuf,
        /// The other.
        file: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file or a folder cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file has another text than the change was made for.
    #[error("{} was changed in the meantime; nothing was written", .0.display())]
    Changed(PathBuf),
    /// The file is not one of the managed folder.
    #[error("{} is not in the folder that `admin.manage` names", .0.display())]
    NotManaged(PathBuf),
    /// A new file of a secret is there already.
    #[error("{} exists; `file:{}` uses it as it is", .0.display(), .0.display())]
    SecretExists(PathBuf),
    /// Others could replace the file.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The text cannot be changed so.
    #[error("{}: {error}", path.display())]
    Edit {
        /// The file.
        path: PathBuf,
        /// Why.
        error: EditError,
    },
    /// A file of the configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
}
