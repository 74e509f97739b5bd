//! How a token request is sent, beyond what the grant and the client authentication write into it.

use http::{HeaderName, header};
use url::Url;

use super::client_auth;
use crate::config::http_url;
use crate::config::http_url::UrlPolicy;
use crate::config::reader::header as header_reader;
use crate::config::reader::secret;
use crate::config::reader::value::Mapping;
use crate::secret::Secret;

/// What token endpoints want that no standard says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenRequest {
    /// `endpoint_headers`: further fields, which may well be secret.
    pub headers: Vec<(HeaderName, Secret)>,
    /// `token_request_format`
    pub format: RequestFormat,
    /// `scope_separator`: between the scopes, in the request.
    pub scope_separator: String,
    /// `proxy_url`: the HTTP proxy on the way to the token endpoint.
    pub proxy: Option<Proxy>,
}

/// `token_request_format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749 §4.4.2).
    Form,
    /// A JSON object of the same parameters.
    Json,
}

/// An HTTP proxy: through `CONNECT`, it sees the endpoint's name and nothing of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    /// `http://`
    pub url: Url,
    /// `proxy_username` and `proxy_password`.
    pub login: Option<(String, Secret)>,
}

/// Fields that a token request has anyway, or that are the connection's.
const RESERVED: [HeaderName; 9] = [
    header::CONTENT_TYPE,
    header::CONTENT_LENGTH,
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::ACCEPT_ENCODING,
    header::TE,
    header::UPGRADE,
    HeaderName::from_static("dpop"),
];

pub(crate) fn read(mapping: &mut Mapping<'_>) -> TokenRequest {
    let headers = mapping
        .optional("endpoint_headers")
        .map_or_else(Vec::new, |value| header_reader::fields(&value, &RESERVED));
    let formats = [("form", RequestFormat::Form), ("json", RequestFormat::Json)];
    let format = mapping.optional("token_request_format").and_then(|value| value.one_of(&formats));
    let separator = mapping.optional("scope_separator").and_then(|value| value.parse(separator));
    TokenRequest {
        headers,
        format: format.unwrap_or(RequestFormat::Form),
        scope_separator: separator.unwrap_or_else(|| " ".into()),
        proxy: proxy(mapping),
    }
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("empty; scopes without anything between them are one scope".into()),
        _ if text.len() <= 4 && text.chars().all(|c| c == ' ' || c.is_ascii_punctuation()) => Ok(text.into()),
        _ => Err("a separator is a space, a comma or the like".into()),
    }
}

fn proxy(mapping: &mut Mapping<'_>) -> Option<Proxy> {
    let url = mapping.optional("proxy_url");
    let username = client_auth::text(mapping, "proxy_username");
    let password = mapping.optional("proxy_password").and_then(|value| secret::read(&value));
    let [has_username, has_password] = ["proxy_username", "proxy_password"].map(|key| mapping.has(key));
    if has_username != has_password {
        mapping.value().error("`proxy_username` and `proxy_password` belong together; one is missing");
    } else if has_username && url.is_none() {
        mapping.value().error("`proxy_username` without `proxy_url`: there is no proxy to log in to");
    }
    Some(Proxy { url: url?.parse(proxy_url)?, login: username.zip(password) })
}

fn proxy_url(text: &str) -> Result<Url, String> {
    if !text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
        return Err(
            "an HTTP proxy is written `http://HOST:PORT`; what is sent through it has TLS of its own".into(),
        );
    }
    let login = "credentials in the URL of a proxy; they are `proxy_username` and `proxy_password`";
    if text.contains('@') {
        return Err(login.into());
    }
    http_url::parse(text, &UrlPolicy { plaintext: true, query: false })
}
