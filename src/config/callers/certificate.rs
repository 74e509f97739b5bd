//! `certificate` of a caller: a name in its client certificate.

use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;

/// The format of `certificate`.
pub(super) const CERTIFICATE: Format = Format::Keys(&[KEYS]);

const KEYS: Keys = &[
    Key::optional(
        "spiffe_id",
        Format::Text,
        "The SPIFFE ID in it; `*` as a segment of the path is any one segment.",
    ),
    Key::optional("uri", Format::Text, "A URI among its alternative names, character by character."),
    Key::optional("dns", Format::Text, "A DNS name among them; `*.` at its start is any one label."),
];

/// Longest name, in bytes: that of a SPIFFE ID.
const MAX_BYTES: usize = 2048;

/// `certificate` of a caller. Every part that is there must match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateIdentity {
    /// The SPIFFE ID in segments: the trust domain, and those of the path. `*` is any one segment.
    pub spiffe_id: Option<Vec<String>>,
    /// A URI among the alternative names.
    pub uri: Option<String>,
    /// A DNS name among them, in lower case. It may start with `*.`.
    pub dns: Option<String>,
}

/// Reads `certificate`.
pub(super) fn read(value: &Value<'_>) -> Option<CertificateIdentity> {
    let mut mapping = value.mapping()?;
    let spiffe_id = mapping.optional("spiffe_id").map(|value| value.parse(spiffe_id));
    let uri = mapping.optional("uri").map(|value| value.parse(uri));
    let dns = mapping.optional("dns").map(|value| value.parse(dns));
    mapping.reject_unknown_keys();
    if spiffe_id.is_none() && uri.is_none() && dns.is_none() {
        value.error("`certificate` has `spiffe_id`, `uri` or `dns`");
        return None;
    }
    // An error in one part must not lead to an identity without it.
    let all = [spiffe_id.as_ref().is_none_or(Option::is_some), uri.as_ref().is_none_or(Option::is_some)];
    if all.contains(&false) || dns.as_ref().is_some_and(Option::is_none) {
        return None;
    }
    Some(CertificateIdentity { spiffe_id: spiffe_id.flatten(), uri: uri.flatten(), dns: dns.flatten() })
}

/// The segments of a SPIFFE ID, if it is one (SPIFFE-ID §2).
pub fn spiffe_segments(text: &str) -> Option<Vec<&str>> {
    let rest = text.strip_prefix("spiffe://").filter(|rest| rest.len() <= MAX_BYTES)?;
    let segments: Vec<_> = rest.split('/').collect();
    let (domain, path) = segments.split_first()?;
    let is_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
    let is_path = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    let is_segment = |segment: &&str| !matches!(*segment, "" | "." | "..") && segment.bytes().all(is_path);
    (!domain.is_empty() && domain.bytes().all(is_domain) && path.iter().all(is_segment)).then_some(segments)
}

fn spiffe_id(text: &str) -> Result<Vec<String>, String> {
    const WILDCARD: &str = "*";
    let plain: Vec<_> = text.split('/').map(|part| if part == WILDCARD { "x" } else { part }).collect();
    let written = text.strip_prefix("spiffe://").unwrap_or_default();
    if spiffe_segments(&plain.join("/")).is_none() || written.starts_with(WILDCARD) || !written.contains('/')
    {
        return Err(
            "a SPIFFE ID is written spiffe://example.org/ns/prod/sa/app; `*` stands for one whole segment of its path".into(),
        );
    }
    Ok(written.split('/').map(str::to_owned).collect())
}

fn uri(text: &str) -> Result<String, String> {
    if !text.contains(':') || text.contains(['*', ' ']) || text.chars().any(char::is_control) {
        return Err("a URI, character by character as it is in the certificate, without `*`".into());
    }
    Ok(text.to_owned())
}

fn dns(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // `*.com` would be every name of a whole domain.
    if name.split('.').all(is_label) && (name.len() == text.len() || name.contains('.')) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a DNS name such as app.example.org, or *.apps.example.org for any one label".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_id_has_whole_segments() {
        assert_eq!(spiffe_id("spiffe://a.org/ns/*/sa/x").unwrap(), ["a.org", "ns", "*", "sa", "x"]);
        for text in [
            "spiffe://*/x",
            "spiffe://a.org",
            "spiffe://a.org/",
            "spiffe://a.org/x*",
            "spiffe://a.org//x",
            "spiffe://a.org/../x",
            "spiffe://A.org/x",
            "spiffe://a.org:80/x",
            "spiffe://u@a.org/x",
            "https://a.org/x",
            "spiffe://a.org/%78",
            "spiffe://a.org/x?y",
        ] {
            assert!(spiffe_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn dns_name_has_a_bounded_wildcard() {
        assert_eq!(dns("*.Apps.example.org").unwrap(), "*.apps.example.org");
        for text in ["*", "*.org", "a.*.org", "*a.example.org", "a..b", ""] {
            assert!(dns(text).is_err(), "{text}");
        }
    }
}
