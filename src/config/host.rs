//! Host names: DNS names in lower-case ASCII, and addresses.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host in a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A DNS name.
    Name(String),
    /// A literal address.
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

/// A host as the `url` crate understands it, with what a DNS name may not be refused.
pub(crate) fn parse(text: &str) -> Result<Host, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    if text.contains("://") || text.contains('/') {
        return Err("a URL; give the host name alone".into());
    }
    if text.contains('*') {
        return Err("a wildcard; every host name is written out".into());
    }
    if let Some((_, port)) = text.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err("a host name with a port; leave the port out".into());
    }
    match url::Host::parse(text) {
        Ok(url::Host::Domain(name)) => Ok(Host::Name(dns_name(name)?)),
        _ => Err("not a host name".into()),
    }
}

/// Holds a name to what DNS takes (RFC 1035 §2.3.4; with `_`, which real names have).
pub(crate) fn dns_name(name: String) -> Result<String, String> {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.ends_with('.') {
        return Err("a host name that ends with a dot; leave the dot out".into());
    }
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(
            "not a host name: letters, digits, `-` and dots, 63 characters at most between dots".into()
        );
    }
    Ok(name)
}

impl Host {
    /// On this machine: what is sent there crosses no network.
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
    fn takes_names_and_addresses() {
        let shown = |text: &str| parse(text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string();
        assert_eq!(shown("CRM.Internal"), "crm.internal");
        assert_eq!(shown("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(shown("a_b.svc"), "a_b.svc");
        assert_eq!(shown("127.0.0.1"), "127.0.0.1");
        assert_eq!(shown("::1"), "[::1]");
        assert_eq!(shown("[::1]"), "[::1]");
    }

    #[test]
    fn refuses_what_no_host_field_has() {
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
    fn knows_loopback() {
        for text in ["localhost", "127.3.2.1", "::1", "::ffff:127.0.0.1"] {
            assert!(parse(text).unwrap().is_loopback(), "{text}");
        }
        assert!(!parse("localhost.example.com").unwrap().is_loopback());
        assert!(!parse("0.0.0.0").unwrap().is_loopback());
    }
}
