//! The name of a header field as an operator writes it.

use http::HeaderName;
use http::header::InvalidHeaderName;

/// A name, and how it is written in HTTP/1.1. Case has no meaning in a name (RFC 9110 §5.1), but some servers
/// expect one spelling. HTTP/2 has lower case only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldName {
    name: HeaderName,
    written: Box<str>,
}

impl FieldName {
    /// The name, for comparisons.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// The spelling for HTTP/1.1.
    pub fn as_written(&self) -> &str {
        &self.written
    }
}

impl TryFrom<&str> for FieldName {
    type Error = InvalidHeaderName;

    fn try_from(text: &str) -> Result<Self, InvalidHeaderName> {
        Ok(Self { name: HeaderName::try_from(text)?, written: text.into() })
    }
}
