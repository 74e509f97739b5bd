//! URLs of upstreams and token endpoints.
//!
//! The WHATWG parser forgives what an operator would not want forgiven (`https:host`, `https:///host`, tabs
//! and backslashes), so the text is looked at before it gets there. No message repeats a URL: it may hold a
//! password.

use rustls::pki_types::ServerName;
use url::Url;

use super::host;
use super::host::Host;

/// What one kind of URL may have.
pub(crate) struct UrlPolicy {
    /// `http://` to a host that is not on this machine.
    pub(crate) plaintext: bool,
    /// `?…`
    pub(crate) query: bool,
}

/// Reads a URL that stands by the rules.
pub(crate) fn parse(text: &str, policy: &UrlPolicy) -> Result<Url, String> {
    let rest = after_scheme(text)?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("a URL has no spaces, control characters or backslashes in it".into());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("a URL with credentials in it (`user:password@`); put them under `auth`".into());
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err("a URL without a host".into());
    }
    let url = Url::parse(text).map_err(|error| format!("not a URL: {error}"))?;
    if url.fragment().is_some() {
        return Err("a URL with a fragment (`#…`), which is never sent; leave it out".into());
    }
    if url.query().is_some() && !policy.query {
        return Err("a URL with a query (`?…`); every request brings its own".into());
    }
    if url.port() == Some(0) {
        return Err("port 0 cannot be connected to".into());
    }
    let host = checked_host(&url)?;
    if url.scheme() == "http" && !policy.plaintext && !host.is_loopback() {
        return Err("`http://` would send the credential in the clear; use `https://`, or allow it with \
                    `allow_plaintext: true`"
            .into());
    }
    Ok(url)
}

fn after_scheme(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("empty; give a URL such as https://api.example.com".into());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("not a URL: it begins with `https://` and a host".into());
    };
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") {
        Ok(rest)
    } else {
        Err("only `https://` and `http://` URLs can be used".into())
    }
}

fn checked_host(url: &Url) -> Result<Host, String> {
    let host = Host::from(url.host().ok_or("a URL without a host")?);
    if let Host::Name(name) = &host {
        host::dns_name(name.clone())?;
        if url.scheme() == "https" && ServerName::try_from(name.as_str()).is_err() {
            return Err("the host is not a name that TLS can verify".into());
        }
    }
    Ok(host)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const STRICT: UrlPolicy = UrlPolicy { plaintext: false, query: false };

    #[test]
    fn refuses_what_the_parser_would_forgive() {
        for text in [
            "",
            "api.example.com",
            "https:api.example.com",
            "https:///api.example.com",
            "https://",
            "https://:443",
            "https://u:p@h",
            "https://@h",
            "ftp://h",
            "https://h?q",
            "https://h#f",
            "https://h:0",
            "https://h:99999",
            "https:\\\\h",
            "https://h\\x",
            " https://h",
            "https://h\n",
            "https://a b",
            "https://h./",
            "http://h",
            "https://-a",
            "http://localhost.example.com",
            "unix:///run/x",
        ] {
            assert!(parse(text, &STRICT).is_err(), "{text:?}");
        }
    }

    #[test]
    fn allows_what_is_asked_for() {
        assert!(parse("http://h/token?tenant=1", &UrlPolicy { plaintext: true, query: true }).is_ok());
    }
}
