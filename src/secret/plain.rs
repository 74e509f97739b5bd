//! A secret in the configuration itself.

use std::fmt;

use super::{Fetched, SecretSource, SecretText, SourceError, WatchHint};

/// The text of the configuration, as a source. Allowed, with a warning.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Plain(pub SecretText);

impl SecretSource for Plain {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        Ok(Fetched::lasting(self.0.clone()))
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Constant
    }

    fn has_value(&self) -> bool {
        true
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("plain")
    }
}

impl fmt::Display for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the text in the configuration")
    }
}
