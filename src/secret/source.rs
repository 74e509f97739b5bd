//! Sources of secrets: an environment variable, a file, or the configuration itself.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use zeroize::Zeroizing;

use super::{
    Algorithm, FileError, InvalidSecret, KeyError, NotText, Secret, SecretText, SigningKey, read_file,
};

/// Largest file, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The source of a secret, as the configuration states it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Source {
    /// `{ env: NAME }`
    Env(String),
    /// `{ file: PATH }`: one trailing newline is removed.
    File(PathBuf),
    /// Plain text in the configuration: allowed, with a warning.
    Plain(String),
}

impl Source {
    /// Reads the value.
    pub fn read(&self) -> Result<Secret, SourceError> {
        self.read_with(&|name| std::env::var_os(name))
    }

    /// Reads the value; environment variables come from a function.
    pub fn read_with(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<Secret, SourceError> {
        Ok(self.text_with(environment)?.into_secret()?)
    }

    /// Reads a private key in PEM and wipes the text.
    pub fn signing_key(
        &self,
        algorithm: Option<Algorithm>,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<SigningKey, SourceError> {
        Ok(SigningKey::from_text(&self.text_with(environment)?, algorithm)?)
    }

    fn text_with(&self, environment: &dyn Fn(&str) -> Option<OsString>) -> Result<SecretText, SourceError> {
        match self {
            Self::Plain(value) => Ok(SecretText::verbatim(Zeroizing::new(value.clone()))),
            Self::Env(name) => {
                let value = environment(name).ok_or(SourceError::EnvMissing)?;
                Ok(SecretText::of_content(Zeroizing::new(value.into_vec()))?)
            }
            Self::File(path) => Ok(SecretText::of_content(read_file(path, MAX_BYTES)?)?),
        }
    }
}

/// Shows the source, never the value.
impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Plain(_) => f.write_str("plain"),
        }
    }
}

/// Why a secret could not be read. The text never contains the value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// `env:` names a variable that is not set.
    #[error("the environment variable is not set")]
    EnvMissing,
    /// The value is not UTF-8.
    #[error(transparent)]
    NotText(#[from] NotText),
    /// The file cannot be read.
    #[error("cannot read the file: {0}")]
    File(#[from] FileError),
    /// The value is not a valid secret.
    #[error(transparent)]
    Invalid(#[from] InvalidSecret),
    /// The value is not a usable private key.
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn file(content: &[u8]) -> Result<Secret, SourceError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        Source::File(file.path().to_owned()).read()
    }

    #[test]
    fn secret_file_errors_are_distinguished() {
        assert!(matches!(file(b""), Err(SourceError::Invalid(InvalidSecret::Empty))));
        assert!(matches!(file(b"\n"), Err(SourceError::Invalid(InvalidSecret::Empty))));
        assert!(matches!(file(b"\xff\xfe"), Err(SourceError::NotText(NotText::Utf16))));
        assert!(matches!(file(&vec![b'x'; 70_000]), Err(SourceError::File(FileError::TooLarge(_)))));
        assert!(matches!(
            Source::File("/nonexistent".into()).read(),
            Err(SourceError::File(FileError::Io(_)))
        ));
    }

    #[test]
    fn source_debug_hides_plain_text() {
        assert_eq!(format!("{:?}", Source::Plain("hunter2".into())), "plain");
    }
}
