//! What is known of a finished operation.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::context::Context;

/// A finished operation: a call that Sidekey made to another server (kind `CLIENT`). Nothing in it can hold a secret: no query,
/// no header, no body.
#[derive(Debug, Clone)]
pub struct Span {
    /// Where it stands.
    pub context: Context,
    /// What kind of operation: one of a few.
    pub name: &'static str,
    /// When it began.
    pub start: SystemTime,
    /// How long it took, by the monotonic clock.
    pub took: Duration,
    /// What else is known, by the names of the OpenTelemetry semantic conventions, or `sidekey.…`.
    pub attributes: Vec<(&'static str, Value)>,
    /// Why it failed, if it did; may be empty where an attribute says it.
    pub error: Option<String>,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Bool(bool),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
