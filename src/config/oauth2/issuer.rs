//! The token endpoint: `token_url`, or `issuer`, whose metadata names the endpoint.

use std::fmt;

use url::Url;

use crate::config::http_url;
use crate::config::http_url::{HTTP_URL, UrlPolicy};
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Key, Keys};

/// The keys of the token endpoint: one of the two must be there.
pub(crate) const KEYS: Keys = &[
    Key::depends("token_url", HTTP_URL, "Token endpoint; may have a query."),
    Key::depends(
        "issuer",
        HTTP_URL,
        "Issuer of the tokens, instead of `token_url`: its metadata (RFC 8414) names the token endpoint.",
    ),
];

/// `token_url` or `issuer`
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum TokenUrl {
    /// The token endpoint.
    Endpoint(Url),
    /// The issuer, whose metadata names the token endpoint.
    Issuer(Issuer),
}

impl TokenUrl {
    /// The text of the configuration: the audience of assertions, and the identity of the server.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Endpoint(url) => url.as_str(),
            Self::Issuer(issuer) => issuer.as_str(),
        }
    }

    /// The key of the configuration.
    pub fn key(&self) -> &'static str {
        match self {
            Self::Endpoint(_) => "token_url",
            Self::Issuer(_) => "issuer",
        }
    }

    /// Host of the server, and port if it is not that of the scheme.
    pub fn host(&self) -> Option<String> {
        let url = Url::parse(self.as_str()).ok()?;
        let host = url.host_str()?;
        Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
    }

    /// The URL for messages: without the query, because some providers expect a secret there.
    pub fn redacted_url(&self) -> String {
        match self {
            Self::Endpoint(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.into()
            }
            Self::Issuer(issuer) => issuer.as_str().to_owned(),
        }
    }
}

/// Without the query, because some providers expect a secret there.
impl fmt::Debug for TokenUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(url) => {
                let mut url = url.clone();
                url.set_query(url.query().map(|_| "****"));
                f.write_str(url.as_str())
            }
            Self::Issuer(issuer) => write!(f, "issuer {}", issuer.as_str()),
        }
    }
}

/// An issuer. Its identifier is kept as written, because it is compared character by character (RFC 8414
/// §3.3).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Issuer {
    identifier: String,
    url: Url,
    plaintext: bool,
}

impl Issuer {
    /// The identifier.
    pub fn as_str(&self) -> &str {
        &self.identifier
    }

    /// The URLs of its metadata: that of OpenID Connect Discovery §4, which most issuers have, then that of
    /// RFC 8414 §3.1.
    pub fn metadata_urls(&self) -> [Url; 2] {
        let path = self.url.path().trim_end_matches('/');
        [
            format!("{path}/.well-known/openid-configuration"),
            format!("/.well-known/oauth-authorization-server{path}"),
        ]
        .map(|path| {
            let mut url = self.url.clone();
            url.set_path(&path);
            url
        })
    }

    /// Parses the URL of an endpoint from the metadata, by the rules of `token_url`.
    pub fn endpoint(&self, text: &str) -> Result<Url, String> {
        http_url::parse(text, &UrlPolicy { plaintext: self.plaintext, query: true })
    }
}

/// Reads `token_url` or `issuer`.
pub(crate) fn read(mapping: &mut Mapping<'_>, plaintext: bool) -> Option<TokenUrl> {
    let (token_url, issuer) = (mapping.optional("token_url"), mapping.optional("issuer"));
    match (token_url, issuer) {
        (Some(value), None) => {
            let policy = UrlPolicy { plaintext, query: true };
            value.parse(|text| http_url::parse(text, &policy)).map(TokenUrl::Endpoint)
        }
        (None, Some(value)) => value.parse(|text| parse(text, plaintext)).map(TokenUrl::Issuer),
        (Some(_), Some(issuer)) => {
            issuer.error("both `token_url` and `issuer` are set; remove one of them");
            None
        }
        (None, None) => {
            if !mapping.has("token_url") && !mapping.has("issuer") {
                mapping.value().error("`token_url` or `issuer` is required");
            }
            None
        }
    }
}

fn parse(text: &str, plaintext: bool) -> Result<Issuer, String> {
    let url = http_url::parse(text, &UrlPolicy { plaintext, query: false })?;
    if url.path().contains("/.well-known/") {
        return Err("this is the URL of the metadata; the issuer is the part before `/.well-known/`".into());
    }
    Ok(Issuer { identifier: text.to_owned(), url, plaintext })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn issuer_has_metadata_urls_of_both_standards() {
        let urls = |text| parse(text, false).unwrap().metadata_urls().map(|url| url.to_string());
        assert_eq!(
            urls("https://login.example/realms/a/"),
            [
                "https://login.example/realms/a/.well-known/openid-configuration",
                "https://login.example/.well-known/oauth-authorization-server/realms/a",
            ]
        );
        assert_eq!(
            urls("https://login.example")[0],
            "https://login.example/.well-known/openid-configuration"
        );
        assert!(parse("https://login.example/.well-known/openid-configuration", false).is_err());
        assert!(parse("https://login.example?tenant=a", false).is_err());
    }

    #[test]
    fn redacted_url_has_no_query() {
        let endpoint = TokenUrl::Endpoint(Url::parse("https://login.example/t?key=s3cret").unwrap());
        assert_eq!(endpoint.redacted_url(), "https://login.example/t");
        let issuer = TokenUrl::Issuer(parse("https://login.example/a", false).unwrap());
        assert_eq!(issuer.redacted_url(), "https://login.example/a");
    }

    #[test]
    fn issuer_endpoint_follows_the_url_policy() {
        let issuer = parse("https://login.example", false).unwrap();
        assert!(issuer.endpoint("https://elsewhere.example/token?tenant=a").is_ok());
        for text in
            ["http://login.example/token", "file:///etc/passwd", "/token", "https://u:p@login.example/"]
        {
            assert!(issuer.endpoint(text).is_err(), "{text}");
        }
    }
}
