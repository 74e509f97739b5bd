//! `env`: an environment variable.

use std::fmt;
use std::os::unix::ffi::OsStringExt;

use zeroize::Zeroizing;

use crate::config::SourceKind;
use crate::config::reader::interpolate::variable;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::secret::{Fetched, NotText, SecretSource, SecretText, Source, SourceError, WatchHint};

/// An environment variable. The environment of a process does not change while it runs, so it is read once.
#[derive(PartialEq, Eq, Hash)]
struct Variable {
    name: String,
    /// `None` if it is not set.
    value: Option<Result<SecretText, NotText>>,
}

/// Its part of the table of sources.
pub(super) const KIND: SourceKind = SourceKind { form: "{ env: NAME }", keys: KEYS, read };

const KEYS: Keys = &[Key::required("env", Format::Text, "Name of the environment variable.")];

fn read(mapping: &mut Mapping<'_>) -> Option<Source> {
    let value = mapping.required("env")?;
    // The environment does not allow these; a lookup would panic or stop early.
    let name = value.parse(|text| match text {
        "" => Err("empty".into()),
        _ if text.contains(['=', '\0']) => Err("not a valid name of a variable".into()),
        _ => Ok(text.to_owned()),
    })?;
    let content = value.environment()(&name).map(|content| Zeroizing::new(content.into_vec()));
    Some(Source::new(Variable { name, value: content.map(SecretText::of_content) }))
}

impl SecretSource for Variable {
    fn fetch(&self) -> Result<Fetched, SourceError> {
        match &self.value {
            Some(Ok(value)) => Ok(Fetched::lasting(value.clone())),
            Some(Err(error)) => Err(SourceError::new(format!("{self}: {error}"))),
            None => Err(SourceError::new(format!("{self} is not set"))),
        }
    }

    fn watch(&self) -> WatchHint {
        WatchHint::Constant
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "env {}", self.name)
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&variable(&self.name))
    }
}
