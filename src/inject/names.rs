//! Names of objects, and references to images.

use std::fmt;
use std::str::FromStr;

/// The name of a ConfigMap or a Secret: a DNS subdomain (RFC 1123).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName(String);

impl FromStr for ObjectName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let is_label = |label: &str| {
            let bytes = label.as_bytes();
            bytes.first().copied().is_some_and(is_edge)
                && bytes.last().copied().is_some_and(is_edge)
                && bytes.iter().all(|byte| is_edge(*byte) || *byte == b'-')
        };
        if text.len() <= 253 && text.split('.').all(is_label) {
            return Ok(Self(text.to_owned()));
        }
        Err("not the name of an object: lower-case letters, digits, `-` and `.`, at most 253".into())
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A reference to an image: `registry.example.com/sidekey:0.1.0`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRef(String);

impl FromStr for ImageRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-:/@+[]".contains(&byte);
        let is_edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        if bytes.len() <= 512
            && bytes.iter().copied().all(is_allowed)
            && is_edge(bytes.last())
            && (is_edge(bytes.first()) || bytes[0] == b'[')
        {
            return Ok(Self(text.to_owned()));
        }
        Err("not a reference to an image; example: `registry.example.com/sidekey:0.1.0`".into())
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_name_is_a_dns_subdomain() {
        for name in ["sidekey", "a", "0", "a-b.c", &"a".repeat(253)] {
            assert!(name.parse::<ObjectName>().is_ok(), "{name}");
        }
        for name in ["", "A", "-a", "a-", "a..b", ".a", "a_b", "a/b", "a b", "é", &"a".repeat(254)] {
            assert!(name.parse::<ObjectName>().is_err(), "{name}");
        }
    }

    #[test]
    fn image_is_a_reference_without_spaces() {
        for image in ["sidekey:0.1.0", "r.example:5000/a/b@sha256:0123abcd", "[::1]:5000/sidekey"] {
            assert!(image.parse::<ImageRef>().is_ok(), "{image}");
        }
        for image in ["", " a", "a b", "a:", "/a", "a\n", "$(X)"] {
            assert!(image.parse::<ImageRef>().is_err(), "{image:?}");
        }
    }
}
