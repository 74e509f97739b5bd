//! The URL of an upstream, taken apart.

use std::fmt;

use crate::config::host::Host;
use crate::config::http_url;
use crate::config::http_url::UrlPolicy;

/// The base URL a service forwards to, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// `https`, or `http` where `allow_plaintext` or loopback permits it.
    pub tls: bool,
    /// Host name (lower case, ASCII) or address.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// The path every request is put under: empty, or `/…` without a trailing slash.
    pub base_path: String,
}

impl UpstreamUrl {
    /// `host` or `host:port` as it stands in a `Host` field: the port is left out where it is the scheme's own.
    pub fn authority(&self) -> String {
        if self.port == if self.tls { 443 } else { 80 } {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.base_path)
    }
}

/// The URL of an upstream, taken apart.
pub(crate) fn parse(text: &str, policy: &UrlPolicy) -> Result<UpstreamUrl, String> {
    let url = http_url::parse(text, policy)?;
    let tls = url.scheme() == "https";
    Ok(UpstreamUrl {
        tls,
        host: Host::from(url.host().ok_or("a URL without a host")?),
        port: url.port().unwrap_or(if tls { 443 } else { 80 }),
        base_path: url.path().trim_end_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: UrlPolicy = UrlPolicy { plaintext: false, query: false };

    fn read(text: &str) -> String {
        parse(text, &STRICT).unwrap_or_else(|error| panic!("{text}: {error}")).to_string()
    }

    #[test]
    fn takes_a_url_apart() {
        assert_eq!(read("https://API.Example.com"), "https://api.example.com");
        assert_eq!(read("HTTPS://api.example.com:443/v2/"), "https://api.example.com/v2");
        assert_eq!(read("https://bücher.example/"), "https://xn--bcher-kva.example");
        assert_eq!(read("https://[2001:db8::1]:8443/a//"), "https://[2001:db8::1]:8443/a");
        assert_eq!(read("http://127.9.9.9:8000"), "http://127.9.9.9:8000");
        assert_eq!(read("http://localhost"), "http://localhost");
        assert_eq!(read("http://[::1]"), "http://[::1]");
        assert_eq!(read("https://api.example.com/a/../b"), "https://api.example.com/b");
    }
}
