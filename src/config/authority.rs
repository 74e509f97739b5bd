//! The authority of a URL, as it stands in `Host` and in the target of a request: one form for all of its spellings, so that
//! every comparison of two hosts has the same result.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use memchr::memrchr;

use super::host::Host;

/// Host and port of an authority. The host is canonical, as `Host::canonical` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority<'a> {
    /// The host: a DNS name, an IPv4 address, or an IPv6 address in brackets.
    pub host: Cow<'a, str>,
    /// The port, if the authority has one.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Parses `host` or `host:port`; `None` if it is neither. A host in canonical form is borrowed.
    pub fn parse(text: &'a str) -> Option<Self> {
        let host_end =
            if text.starts_with('[') { text.find(']')? + 1 } else { text.find(':').unwrap_or(text.len()) };
        let (host, port) = text.split_at(host_end);
        let port = match port.strip_prefix(':') {
            None if !port.is_empty() => return None,
            None | Some("") => None,
            Some(digits) => Some(self::port(digits)?),
        };
        let host = if is_canonical(host) {
            Cow::Borrowed(host)
        } else {
            Cow::Owned(Host::canonical(host)?.to_string())
        };
        Some(Self { host, port })
    }

    /// Splits what follows `//` in a URL into the authority and the rest (RFC 3986 §3.2).
    pub fn split(after_slashes: &str) -> (&str, &str) {
        after_slashes.split_at(after_slashes.find(['/', '?', '#']).unwrap_or(after_slashes.len()))
    }

    /// The authority without the user information in front of it (RFC 3986 §3.2.1), which ends at the last `@`.
    pub fn without_user(authority: &str) -> &str {
        authority.rsplit_once('@').map_or(authority, |(_, server)| server)
    }

    /// Whether two authorities name the same host, and the same port unless one of them has none.
    pub fn is_same(one: &str, other: &str) -> bool {
        let (Some(one), Some(other)) = (Authority::parse(one), Authority::parse(other)) else { return false };
        one.host == other.host && (one.port == other.port || one.port.is_none() || other.port.is_none())
    }

    /// Whether two authorities name the same host and the same port in URLs of a scheme with this default port.
    pub fn is_same_server(one: &str, other: &str, default_port: u16) -> bool {
        let (Some(one), Some(other)) = (Authority::parse(one), Authority::parse(other)) else { return false };
        one.host == other.host && one.port.unwrap_or(default_port) == other.port.unwrap_or(default_port)
    }
}

/// The port of a URL that names none (RFC 9110 §4.2): `https` if `is_tls`, otherwise `http`.
pub fn default_port(is_tls: bool) -> u16 {
    if is_tls { 443 } else { 80 }
}

/// Parses a port: digits only, because the parser of numbers accepts a sign.
pub fn port(digits: &str) -> Option<u16> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Whether a host is certain to be in canonical form: a name in lower-case letters, or an IPv4 address. Decides without an
/// allocation.
fn is_canonical(host: &str) -> bool {
    let mut previous = b'.';
    for byte in host.bytes() {
        match byte {
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => {}
            b'.' if previous != b'.' => {}
            _ => return false,
        }
        previous = byte;
    }
    let last_label = memrchr(b'.', host.as_bytes()).map_or(0, |dot| dot + 1);
    // A name whose last label starts with a digit may be an address in another base.
    match host.as_bytes().get(last_label) {
        None => false,
        Some(b'0'..=b'9') => host.parse::<Ipv4Addr>().is_ok(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn authority_has_one_form_for_all_spellings() {
        for (canonical, spellings) in [
            (
                "localhost:443",
                &["localhost:443", "LOCALHOST:443", "localhost.:443", "LocalHost.:0443", "%6cocalhost:443"][..],
            ),
            (
                "localhost",
                &["localhost.", "localhost:", "localhost.:", "localhost。", "ｌocalhost", "local\u{ad}host"],
            ),
            ("xn--bcher-kva.example", &["bücher.example", "BÜCHER.example.", "XN--BCHER-KVA.Example"]),
            (
                "127.0.0.1:80",
                &[
                    "127.1:80",
                    "0x7f.1:80",
                    "0177.0.0.1:80",
                    "2130706433:80",
                    "127.0.0.1.:80",
                    "[::ffff:7f00:1]:80",
                ],
            ),
            (
                "[2001:db8::1]:8443",
                &["[2001:DB8::1]:8443", "[2001:db8:0:0::0001]:8443", "[2001:0db8::0.0.0.1]:8443"],
            ),
            ("a_b.svc", &["A_b.svc"]),
        ] {
            let expected = Authority::parse(canonical).unwrap();
            for spelling in spellings {
                assert_eq!(Authority::parse(spelling).as_ref(), Some(&expected), "{spelling}");
            }
        }
        for invalid in [
            "",
            ".",
            ":80",
            "a..",
            "a..b",
            ".a",
            "a.:x",
            "a:+80",
            "a:-1",
            "a:65536",
            "a:80:80",
            "::1",
            "[::1",
            "[::1]80",
            "[fe80::1%25eth0]:80",
            "[fe80::1%eth0]",
            "u@a",
            "a/b",
            "a b",
            "1.2.3.4.5",
            "256.1.1.1",
            "a\0",
        ] {
            assert_eq!(Authority::parse(invalid), None, "{invalid}");
        }
    }

    #[test]
    fn authority_in_canonical_form_is_borrowed() {
        for text in
            ["localhost", "api.example.com:443", "127.0.0.1:8080", "xn--bcher-kva.example", "a1.b-c_d"]
        {
            assert!(matches!(Authority::parse(text).unwrap().host, Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn is_same_ignores_spelling_and_missing_port() {
        for (one, other) in [
            ("a", "A"),
            ("a:443", "a."),
            ("a:80", "a:080"),
            ("[::1]:80", "[0:0::1]"),
            ("a:", "a:80"),
            ("[::ffff:1.2.3.4]", "1.2.3.4"),
        ] {
            assert!(Authority::is_same(one, other) && Authority::is_same(other, one), "{one} {other}");
        }
        for (one, other) in [
            ("a", "b"),
            ("a:80", "a:443"),
            ("[::1]", "[::2]"),
            ("a", ""),
            ("a.b", "a"),
            ("", ""),
            ("u@a", "u@a"),
        ] {
            assert!(!Authority::is_same(one, other) && !Authority::is_same(other, one), "{one} {other}");
        }
    }

    #[test]
    fn is_same_server_knows_the_default_port() {
        assert!(Authority::is_same_server("a", "A.:443", 443));
        assert!(!Authority::is_same_server("a", "a:443", 80));
        assert!(!Authority::is_same_server("a:1", "a:2", 1));
    }

    proptest! {
        #[test]
        fn short_way_and_parser_agree(host in "[a-z0-9._x-]{1,12}") {
            if is_canonical(&host) && !host.contains("xn--") {
                prop_assert_eq!(Host::canonical(&host).map(|host| host.to_string()), Some(host));
            }
        }
    }
}
