//! Parses `http://` and `https://` URLs.
//!
//! The WHATWG parser accepts text that is likely an error (`https:host`, `https:///host`, tabs and
//! backslashes), so the text is checked first. No message repeats a URL, because it may contain a password.

use rustls::pki_types::ServerName;
use url::Url;

use super::host;
use super::host::Host;
use super::reader::table::{Definition, Format};

/// The format of a URL.
pub(crate) const HTTP_URL: Format = Format::Defined(&Definition {
    name: "url",
    description: "A URL that starts with https:// or http:// and has a host.",
    format: Format::Pattern("^[Hh][Tt][Tt][Pp][Ss]?://[^/?#:]"),
});

/// What is allowed in a URL.
pub(crate) struct UrlPolicy {
    /// Whether `http://` is allowed to a host that is not this machine.
    pub(crate) plaintext: bool,
    /// Whether a query (`?…`) is allowed.
    pub(crate) query: bool,
}

/// Parses a URL and checks it against the policy.
pub(crate) fn parse(text: &str, policy: &UrlPolicy) -> Result<Url, String> {
    let rest = after_scheme(text)?;
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("a URL cannot contain spaces, control characters or backslashes".into());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("the URL contains credentials (`user:password@`); put them under `auth`".into());
    }
    if authority.is_empty() || authority.starts_with(':') {
        return Err("the URL has no host".into());
    }
    let url = Url::parse(text).map_err(|error| format!("not a valid URL: {error}"))?;
    if url.fragment().is_some() {
        return Err("the URL has a fragment (`#…`), which is never sent; remove it".into());
    }
    if url.query().is_some() && !policy.query {
        return Err("the URL has a query (`?…`); only the queries of requests are sent".into());
    }
    if url.port() == Some(0) {
        return Err("port 0 is not a valid port".into());
    }
    let host = checked_host(&url)?;
    if url.scheme() == "http" && !policy.plaintext && !host.is_loopback() {
        return Err("`http://` would send the credential unencrypted; use `https://`, or allow it with \
                    `allow_plaintext: true`"
            .into());
    }
    Ok(url)
}

fn after_scheme(text: &str) -> Result<&str, String> {
    if text.is_empty() {
        return Err("empty; expected a URL such as https://api.example.com".into());
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        return Err("not a valid URL: a URL starts with `https://` and a host".into());
    };
    if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http") {
        Ok(rest)
    } else {
        Err("only `https://` and `http://` URLs are supported".into())
    }
}

fn checked_host(url: &Url) -> Result<Host, String> {
    let host = Host::from(url.host().ok_or("the URL has no host")?);
    if let Host::Name(name) = &host {
        host::dns_name(name.clone())?;
        if url.scheme() == "https" && ServerName::try_from(name.as_str()).is_err() {
            return Err("TLS cannot verify this host name".into());
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
    fn url_rejects_what_the_parser_accepts() {
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
    fn url_policy_allows_plaintext_and_query() {
        assert!(parse("http://h/token?tenant=1", &UrlPolicy { plaintext: true, query: true }).is_ok());
    }
}
