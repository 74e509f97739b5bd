//! The URL of an upstream.

use std::fmt;

use crate::config::authority::{Authority, default_port};
use crate::config::host::Host;
use crate::config::http_url;
use crate::config::http_url::UrlPolicy;
use crate::config::wildcard;

/// The base URL that a service forwards to, in parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UpstreamUrl {
    /// Whether the scheme is `https`. `http` requires `allow_plaintext` or loopback.
    pub tls: bool,
    /// The host; or a pattern of hosts, as [`wildcard`] has it.
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

    /// The pattern of the hosts, if the URL has a wildcard.
    pub fn pattern(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => wildcard::suffix(name).map(|_| name.as_str()),
            Host::Ip(_) => None,
        }
    }

    /// The host of a URL that is below this one, which has a wildcard, and its path and query behind the base path. `None` if it is not
    /// below this one.
    pub fn below<'u>(&self, url: &'u str) -> Option<(String, &'u str)> {
        let (scheme, rest) = url.split_once("://")?;
        let is_scheme = scheme.eq_ignore_ascii_case(if self.tls { "https" } else { "http" });
        let (authority, path) = Authority::split(rest);
        let Authority { host, port } = Authority::parse(authority)?;
        let is_host = wildcard::split(&host)?.1 == wildcard::key(self.pattern()?);
        let is_port = port.unwrap_or_else(|| default_port(self.tls)) == self.port;
        let path = path.strip_prefix(&*self.base_path)?;
        let path = if path.is_empty() { "/" } else { path };
        (is_scheme && is_host && is_port && path.starts_with('/')).then(|| (host.into_owned(), path))
    }

    /// The URL whose label stands for the wildcard of this one; without a wildcard, the URL itself.
    #[must_use]
    pub fn with_label(&self, label: &str) -> Self {
        let host = self.pattern().map(|pattern| Host::Name(wildcard::fill(pattern, label)));
        Self { host: host.unwrap_or_else(|| self.host.clone()), ..self.clone() }
    }
}

impl fmt::Display for UpstreamUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority(), self.base_path)
    }
}

/// Parses the URL of an upstream, or a URL with a wildcard: `https://*.example.com`.
pub(crate) fn parse_pattern(text: &str, policy: &UrlPolicy) -> Result<UpstreamUrl, String> {
    let Some(rest) = wildcard::without_prefix(text) else { return parse(text, policy) };
    let url = parse(&rest, policy)?;
    match url.host {
        Host::Name(name) => Ok(UpstreamUrl { host: Host::Name(wildcard::below(&name)), ..url }),
        Host::Ip(_) => Err("there is nothing below an IP address: the wildcard needs a name".into()),
    }
}

/// Parses a URL without a wildcard.
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

    #[test]
    fn upstream_url_with_wildcard_keeps_it() {
        let read = |text| parse_pattern(text, &STRICT).map(|url| url.to_string());
        assert_eq!(read("https://*.S3.Example.com/v2/").as_deref(), Ok("https://*.s3.example.com/v2"));
        assert_eq!(read("https://*.s3.example.com:8443").as_deref(), Ok("https://*.s3.example.com:8443"));
        for wrong in [
            "https://*",
            "https://*.",
            "https://*/",
            "https://*.*.example.com",
            "https://a.*.example.com",
            "https://*a.example.com",
            "https://*.127.0.0.1",
            "https://*.1.2",
            "https://*.[::1]",
            "https://u@*.example.com",
            "https://*.u@example.com",
            "http://*.example.com",
            "http://*.127.0.0.1",
            "https://*.:443",
            "https://*.a.?x",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let url = parse_pattern("https://*.s3.example.com/v2", &STRICT).unwrap();
        assert_eq!(url.with_label("bucket").to_string(), "https://bucket.s3.example.com/v2");
        assert!(parse("https://*.example.com", &STRICT).is_err());
        let below = |text| url.below(text).map(|(host, path)| format!("{host} {path}"));
        assert_eq!(below("https://A.s3.example.com/v2/k?x").as_deref(), Some("a.s3.example.com /k?x"));
        assert_eq!(below("https://a.s3.example.com:443/v2").as_deref(), Some("a.s3.example.com /"));
        for other in [
            "/v2/k",
            "http://a.s3.example.com/v2/k",
            "https://a.s3.example.com:8443/v2/k",
            "https://a.s3.example.com/k",
            "https://a.s3.example.com/v2k",
            "https://u@a.s3.example.com/v2/k",
            "https://a.b.s3.example.com/v2/k",
            "https://s3.example.com/v2/k",
            "https://*.s3.example.com/v2/k",
            "https://evil.com#.s3.example.com/v2/k",
        ] {
            assert_eq!(below(other), None, "{other}");
        }
    }
}
