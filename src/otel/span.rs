//! A span: what is known of a finished operation.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::context::Context;

/// A finished operation: a call that Sidekey made to another server (kind `CLIENT`). Nothing in it can hold a secret: no query,
/// no header, no body.
#[derive(Debug, Clone)]
pub struct Span {
    /// Its place in a trace.
    pub context: Context,
    /// The kind of operation: one of a few.
    pub name: &'static str,
    /// Its beginning.
    pub start: SystemTime,
    /// Its duration by the monotonic clock.
    pub took: Duration,
    /// Attributes by the names of the OpenTelemetry semantic conventions, or `sidekey.…`.
    pub attributes: Vec<(&'static str, Value)>,
    /// The cause, if it failed; empty if an attribute says it.
    pub error: Option<String>,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(Cow<'static, str>),
    /// A whole number.
    Number(i64),
    /// A truth value.
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
