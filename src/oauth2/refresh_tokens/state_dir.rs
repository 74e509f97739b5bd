//! The folder `state.dir`.

use std::fs;
use std::fs::DirBuilder;
use std::hash::Hash;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::identity::{Identity, fingerprint};
use super::seal::Keys;
use super::state_file::{StateError, StateFile, write_new};
use crate::config;

/// The folder of all state files, with the key to them.
#[derive(Clone)]
pub struct StateDir {
    dir: Arc<Path>,
    keys: Arc<Keys>,
    access_tokens: bool,
}

impl StateDir {
    /// Opens the folder; makes it, with mode 0700, where there is none. One that others may enter, or that cannot be
    /// written to, is refused: better at the start than when a refresh token is to be written.
    pub fn open(config: &config::State) -> Result<Self, StateError> {
        let dir = &config.dir;
        let refuse = |message: String| StateError::Folder { dir: dir.clone(), message };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(|error| refuse(format!("cannot make the folder: {error}")))?;
        let metadata = fs::metadata(dir).map_err(|error| refuse(error.to_string()))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(refuse(format!(
                "other users of this machine may enter it (its mode is {mode:03o}); `chmod 700` it, or name a folder inside it \
                 that is not there yet: Sidekey makes its own"
            )));
        }
        let probe = dir.join(format!(".probe-{}", std::process::id()));
        write_new(&probe, b"")
            .and_then(|()| fs::remove_file(&probe))
            .map_err(|error| refuse(format!("cannot write into it: {error}")))?;
        Ok(Self {
            dir: dir.as_path().into(),
            keys: Arc::new(Keys::derive(&config.key)),
            access_tokens: config.access_tokens,
        })
    }

    /// Whether access tokens are kept too.
    pub fn keeps_access_tokens(&self) -> bool {
        self.access_tokens
    }

    /// The state of one credential. Nothing is read yet.
    pub fn file(&self, identity: &Identity) -> StateFile {
        StateFile::new(&self.dir, identity, self.keys.clone())
    }

    /// A keyed hash of anything, to compare it with what it was: secrets included, which are not stored themselves.
    pub fn fingerprint(&self, what: &impl Hash) -> String {
        fingerprint(self.keys.fingerprints(), what)
    }
}
