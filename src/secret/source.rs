//! Where secrets are read from.

use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Algorithm, Secret, SecretText, SigningKey};

/// A place that secrets are read from: an environment variable, a file, a command.
///
/// Neither `Debug` nor `Display` shows the value. `Debug` identifies the source in the log. `Display` is the place
/// in a message about the configuration, such as `the file /run/secrets/token`. It leaves out what may be a secret
/// in the wrong place.
///
/// Sources are equal if they read from the same place in the same way. Equal ones share what they fetched.
pub trait SecretSource: fmt::Debug + fmt::Display + Eq + Hash + Send + Sync + 'static {
    /// Reads the value now. May block, for a bounded time, and is never called where that would delay requests.
    fn fetch(&self) -> Result<Fetched, SourceError>;

    /// What says that the value may have changed.
    fn watch(&self) -> WatchHint;

    /// The document that the value is a part of, if several values are read at once: a polled source of its own. It is
    /// cached in place of its parts.
    fn document(&self) -> Option<Source> {
        None
    }

    /// The value, if this is the text of the [document](Self::document).
    fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError> {
        Ok(document.clone())
    }

    /// Whether the value is part of the settings: equal settings have the same value, in whatever process.
    fn has_value(&self) -> bool {
        false
    }
}

/// What a source gave.
pub struct Fetched {
    /// The value.
    pub value: SecretText,
    /// When it expires, if the source says so. Counts for sources that are polled.
    pub expires_at: Option<SystemTime>,
    /// What keeps it valid, if something does. Counts for sources that are polled.
    pub lease: Option<Box<dyn Lease>>,
}

impl Fetched {
    /// A value that does not expire.
    pub fn lasting(value: SecretText) -> Self {
        Self { value, expires_at: None, lease: None }
    }
}

/// What keeps a value valid. Dropping it does not end it.
pub trait Lease: Send + Sync {
    /// Extends it. May block, for a bounded time.
    fn renew(&self) -> Result<Renewal, SourceError>;

    /// Ends it, and the value with it. Blocks for a short, bounded time; a failure has no effect, as the lease ends by
    /// itself.
    fn release(&self);
}

/// The outcome of a renewal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The value stays valid until then.
    Until(SystemTime),
    /// It ends soon, or has ended: there is another value to fetch.
    Ended,
}

/// What says that the value of a source may have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchHint {
    /// It cannot change while the process runs.
    Constant,
    /// It changes when the content of this file does. It is fetched whenever the configuration is read.
    ContentOf(PathBuf),
    /// It may change at any time. It is fetched again after this time, or well before it expires if that is
    /// sooner, and not when the configuration is read.
    Poll(Duration),
}

/// Why a source gave no secret. The text names the place, and never contains the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    message: String,
    is_passing: bool,
}

impl SourceError {
    /// An error with this text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_passing: false }
    }

    /// An error that says nothing about the configuration: a store does not answer, or cannot serve.
    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_passing: true }
    }

    /// Whether it may end without a change of the configuration, as it is one of a server.
    pub fn is_passing(&self) -> bool {
        self.is_passing
    }
}

/// A source of any type. Clones share it.
#[derive(Clone)]
pub struct Source(Arc<dyn AnySource>);

impl Source {
    /// A source of one type.
    pub fn new(source: impl SecretSource) -> Self {
        Self(Arc::new(source))
    }

    /// Reads the value now. Blocks.
    pub fn fetch(&self) -> Result<Fetched, SourceError> {
        self.0.fetch()
    }

    /// Reads a secret now. Blocks.
    pub fn secret(&self) -> Result<Secret, SourceError> {
        self.secret_of(self.fetch()?.value)
    }

    /// The secret that a text of this source is.
    pub fn secret_of(&self, text: SecretText) -> Result<Secret, SourceError> {
        text.into_secret().map_err(|error| self.error(error))
    }

    /// The private key that a text of this source is.
    pub fn signing_key_of(
        &self,
        text: &SecretText,
        algorithm: Option<Algorithm>,
    ) -> Result<SigningKey, SourceError> {
        SigningKey::from_text(text, algorithm).map_err(|error| self.error(error))
    }

    /// What says that the value may have changed.
    pub fn watch(&self) -> WatchHint {
        self.0.watch()
    }

    /// The document that the value is a part of, if there is one.
    pub fn document(&self) -> Option<Self> {
        self.0.document()
    }

    /// The value in the text of the document.
    pub fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError> {
        self.0.part_of(document)
    }

    /// Whether the value is part of the settings: equal sources have the same value, in whatever process.
    pub fn has_value(&self) -> bool {
        self.0.has_value()
    }

    fn error(&self, error: impl fmt::Display) -> SourceError {
        SourceError::new(format!("{self}: {error}"))
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_equal(other.0.as_any())
    }
}

impl Eq for Source {}

impl Hash for Source {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash_into(state);
    }
}

/// What [`Source`] needs of a source whose type it does not know.
trait AnySource: fmt::Debug + fmt::Display + Send + Sync {
    fn fetch(&self) -> Result<Fetched, SourceError>;
    fn watch(&self) -> WatchHint;
    fn document(&self) -> Option<Source>;
    fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError>;
    fn has_value(&self) -> bool;
    fn as_any(&self) -> &dyn Any;
    fn is_equal(&self, other: &dyn Any) -> bool;
    fn hash_into(&self, state: &mut dyn Hasher);
}

impl<S: SecretSource> AnySource for S {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        SecretSource::fetch(self)
    }

    fn watch(&self) -> WatchHint {
        SecretSource::watch(self)
    }

    fn document(&self) -> Option<Source> {
        SecretSource::document(self)
    }

    fn part_of(&self, document: &SecretText) -> Result<SecretText, SourceError> {
        SecretSource::part_of(self, document)
    }

    fn has_value(&self) -> bool {
        SecretSource::has_value(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn is_equal(&self, other: &dyn Any) -> bool {
        other.downcast_ref::<S>() == Some(self)
    }

    fn hash_into(&self, mut state: &mut dyn Hasher) {
        TypeId::of::<S>().hash(&mut state);
        self.hash(&mut state);
    }
}
