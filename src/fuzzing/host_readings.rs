//! A second reader of hosts: the `url` crate, which reads a whole URL as the URL Standard does.

use std::net::IpAddr;

use url::{Host, Url};

/// Where a URL with this authority leads: the host in one form, and the port if it is not 80; `None` if there is no such URL.
pub(super) fn destination(authority: &str) -> Option<(String, Option<u16>)> {
    let mut url = Url::parse(&format!("http://{authority}/")).ok()?;
    without_spelling(&mut url);
    let is_authority = url.username().is_empty() && url.password().is_none() && url.path() == "/";
    Some((url.host_str()?.to_owned(), url.port())).filter(|_| is_authority)
}

/// Gives the host of a URL the form that all of its spellings have. The dot at the end of a name says that it is complete
/// (RFC 3986 §3.2.2), which the names in a configuration are. An IPv6 address may contain an IPv4 address (RFC 4291
/// §2.5.5.2).
pub(super) fn without_spelling(url: &mut Url) {
    let host = match url.host() {
        Some(Host::Domain(name)) => {
            name.strip_suffix('.').filter(|rest| !rest.is_empty()).unwrap_or(name).to_owned()
        }
        Some(Host::Ipv6(ip)) => match ip.to_canonical() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        },
        Some(Host::Ipv4(_)) | None => return,
    };
    // A name that is none without its dot, such as `a.0..`, keeps it.
    let _ = url.set_host(Some(&host));
}
