//! URLs of servers that belong to the machine: a metadata service, or the agent of a container.

use std::net::IpAddr;

use url::{Host, Url};

/// Parses a URL that a credential is requested from: `https://`, or `http://` to this machine or to an address that `is_known`.
pub(super) fn parse(text: &str, is_known: impl Fn(IpAddr) -> bool) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| format!("not a valid URL: {error}"))?;
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        _ => None,
    };
    let is_near = match ip {
        Some(ip) => ip.is_loopback() || is_known(ip),
        None => url.host_str() == Some("localhost"),
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_near) {
        return Err("keys and tokens are requested by `https://`, or by `http://` from this machine".into());
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err("a URL of an endpoint has neither credentials nor a fragment".into());
    }
    if url.path().is_empty() {
        url.set_path("/");
    }
    Ok(url)
}

/// Whether packets to an address stay on the link of this machine (RFC 3927), as those to a metadata service do.
pub(super) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plaintext_stays_on_the_machine_and_its_link() {
        let known: IpAddr = "fd20:ce::254".parse().unwrap();
        let is_allowed = |text: &str| parse(text, |ip| is_link_local(ip) || ip == known).is_ok();
        for text in [
            "http://169.254.169.254/metadata",
            "http://127.0.0.1:41056/msi/token/",
            "http://localhost:42356/msi/token",
            "http://[fd20:ce::254]",
            "http://[::1]:80",
            "https://identity.example",
        ] {
            assert!(is_allowed(text), "{text}");
        }
        for text in [
            "http://10.0.0.1/",
            "http://metadata.example/",
            "http://localhost.example/",
            "http://[fd20:ce::255]/",
            "http://[::ffff:10.0.0.1]/",
            "http://u:p@127.0.0.1/",
            "http://127.0.0.1/#a",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "",
        ] {
            assert!(!is_allowed(text), "{text}");
        }
    }
}
