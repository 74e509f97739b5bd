//! The folder `state.dir`, which has the state files of all credentials.

use std::fs;
use std::fs::DirBuilder;
use std::hash::Hash;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

use super::identity::Identity;
use super::state_file::{StateError, StateFile};
use crate::config;
use crate::secret::{SealPurpose, SealingKeys, ensure_private_folder, write_new_file};

/// Creates the folder with mode 0700 if it does not exist.
pub fn create_state_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// The folder of the state files, with the keys to them.
#[derive(Clone)]
pub struct StateDir {
    dir: Arc<Path>,
    keys: Arc<SealingKeys>,
    access_tokens: bool,
}

impl StateDir {
    /// Opens the folder, and creates it with mode 0700 if it does not exist. Fails if it belongs to another
    /// user, if other users may enter it, or if it cannot be written to: it is better to fail at the start
    /// than when a refresh token has to be written.
    pub fn open(config: &config::State) -> Result<Self, StateError> {
        let dir = &config.dir;
        let unusable = |message: String| StateError::Folder { dir: dir.clone(), message };
        create_state_dir(dir).map_err(|error| unusable(format!("cannot make the folder: {error}")))?;
        let metadata = fs::metadata(dir).map_err(|error| unusable(error.to_string()))?;
        ensure_private_folder(dir, &metadata).map_err(|error| unusable(error.to_string()))?;
        let probe = dir.join(format!(".probe-{}", std::process::id()));
        write_new_file(&probe, 0o600, b"")
            .and_then(|()| fs::remove_file(&probe))
            .map_err(|error| unusable(format!("cannot write into it: {error}")))?;
        Ok(Self {
            dir: dir.as_path().into(),
            keys: Arc::new(SealingKeys::derive(SealPurpose::State, &config.key)),
            access_tokens: config.access_tokens,
        })
    }

    /// Whether access tokens are kept as well.
    pub fn keeps_access_tokens(&self) -> bool {
        self.access_tokens
    }

    /// The state file of a credential. Nothing is read yet.
    pub fn file(&self, identity: &Identity) -> StateFile {
        StateFile::new(&self.dir, identity, self.keys.clone())
    }

    /// A keyed hash, to compare a value with an earlier one without storing it.
    pub fn fingerprint(&self, what: &impl Hash) -> String {
        self.keys.fingerprint(what)
    }
}
