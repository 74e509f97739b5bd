//! Hosts: DNS names in lower-case ASCII, and IP addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::reader::table::{Definition, Format};

/// The format of a host.
pub(crate) const HOST: Format = Format::Defined(&Definition {
    name: "host",
    description: "A host name or an IP address, without a port.",
    format: Format::Text,
});

/// A host in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name.
    Name(String),
    /// An IP address.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Ip(IpAddr::V4(ip)) => ip.fmt(f),
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
        }
    }
}

/// Parses a host as the `url` crate does, and rejects what is not a valid DNS name.
pub(crate) fn parse(text: &str) -> Result<Host, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
        return Ok(Host::Ip(ip).into_canonical());
    }
    if text.contains("://") || text.contains('/') {
        return Err("this is a URL; give the host name only".into());
    }
    if text.contains('*') {
        return Err("wildcards are not allowed; list every host name".into());
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err("the host name has a port; remove it".into());
    }
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => Ok(Host::Name(dns_name(name)?)),
        _ => Err("not a valid host name".into()),
    }
}

/// Checks a DNS name (RFC 1035 §2.3.4; `_` is allowed because real names contain it).
pub(crate) fn dns_name(name: String) -> Result<String, String> {
    if name.ends_with('.') {
        return Err("the host name ends with a dot; remove it".into());
    }
    if name.len() > 253 || !name.split('.').all(is_label) {
        return Err(
            "not a valid host name: letters, digits, `-` and dots, at most 63 characters between dots".into(),
        );
    }
    Ok(name)
}

/// Whether a text is a label of a DNS name.
pub(crate) fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl Host {
    /// Parses a host as URLs have it, and returns the one form that all of its spellings have; `None` if it is not valid.
    ///
    /// A name is in lower case, in ASCII (IDNA), and without the dot at its end. An IPv4 address has four decimal numbers. An
    /// IPv6 address that contains an IPv4 address (RFC 4291 §2.5.5.2) is that address. An address with a zone (RFC 6874) is
    /// not valid.
    pub fn canonical(text: &str) -> Option<Self> {
        match Self::from(url::Host::parse(text).ok()?) {
            Self::Name(mut name) => {
                if name.ends_with('.') {
                    name.pop();
                }
                (!name.split('.').any(str::is_empty)).then_some(Self::Name(name))
            }
            address @ Self::Ip(_) => Some(address.into_canonical()),
        }
    }

    /// The canonical form of a host that was read from the configuration.
    #[must_use]
    pub fn into_canonical(self) -> Self {
        match self {
            Self::Name(_) => self,
            Self::Ip(ip) => Self::Ip(ip.to_canonical()),
        }
    }

    /// Whether it is this machine, so that data sent to it crosses no network.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Ip(ip) => ip.to_canonical().is_loopback(),
        }
    }
}

impl<S: AsRef<str>> From<url::Host<S>> for Host {
    fn from(host: url::Host<S>) -> Self {
        match host {
            url::Host::Domain(name) => Self::Name(name.as_ref().to_ascii_lowercase()),
            url::Host::Ipv4(ip) => Self::Ip(ip.into()),
            url::Host::Ipv6(ip) => Self::Ip(Ipv6Addr::into(ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn host_accepts_names_and_addresses() {
        let shown = |text: &str| parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string();
        assert_eq!(shown("CRM.Internal"), "crm.internal");
        assert_eq!(shown("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(shown("a_b.svc"), "a_b.svc");
        assert_eq!(shown("127.0.0.1"), "127.0.0.1");
        assert_eq!(shown("::1"), "[::1]");
        assert_eq!(shown("[::1]"), "[::1]");
        assert_eq!(shown("[::FFFF:192.0.2.1]"), "192.0.2.1");
    }

    #[test]
    fn host_rejects_invalid_names() {
        let long = "a".repeat(64);
        for text in [
            "",
            " ",
            "a b",
            "a:80",
            "http://a",
            "a/b",
            "*.a",
            "-a",
            "a..b",
            "a.",
            "1.2.3",
            long.as_str(),
            "a\n",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn loopback_is_by_name_and_by_address() {
        for text in ["localhost", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
            assert!(parse(text).unwrap().is_loopback(), "{text}");
        }
        assert!(!parse("localhost.example.com").unwrap().is_loopback());
        assert!(!parse("0.0.0.0").unwrap().is_loopback());
    }
}
