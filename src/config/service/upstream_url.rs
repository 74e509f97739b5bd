//! The URL of an upstream.

use std::fmt;

use crate::config::authority::default_port;
use crate::config::host::Host;
use crate::config::http_url;
use crate::config::http_url::UrlPolicy;

/// The base URL that a service forwards to, in parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// Whether the scheme is `https`. `http` requires `allow_plaintext` or loopback.
    pub tls: bool,
    /// The host.
    pub host: Host,
    /// TCP port.
    pub port: u16,
    /// The path before the path of every request: empty, or `/…` without a trailing slash.
    pub base_path: String,
}

impl UpstreamUrl {
    /// `host` or `host:port`, as in a `Host` field: without the default port of the scheme.
    pub fn authority(&self) -> String {
        if self.port == default_port(self.tls) {
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

/// Parses the URL of an upstream.
pub(crate) fn parse(text: &str, policy: &UrlPolicy) -> Result<UpstreamUrl, String> {
    let url = http_url::parse(text, policy)?;
    let tls = url.scheme() == "https";
    Ok(UpstreamUrl {
        tls,
        host: Host::from(url.host().ok_or("the URL has no host")?),
        port: url.port().unwrap_or_else(|| default_port(tls)),
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
    fn upstream_url_is_split_into_parts() {
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
