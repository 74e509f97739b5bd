//! `token_request`: settings of token requests, apart from the grant and the client authentication.

use std::fmt;
use std::time::Duration;

use http::{HeaderName, header};

use super::params::{PARAMS, params};
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::header as header_reader;
use crate::config::reader::header::FIELDS;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::service::proxy;
use crate::config::service::proxy::{PROXY, ProxyConfig};
use crate::secret::Secret;

/// The keys that are read here.
pub(crate) const KEYS: Keys = &[
    Key::optional("token_request", Format::Keys(&[TOKEN_REQUEST]), "How a token request is sent."),
    Key::optional(
        "scope_separator",
        Format::Text,
        "Text between the scopes in the request. Default: a space.",
    ),
    Key::optional("proxy", PROXY, "Forward proxy to the token endpoint."),
];

const TOKEN_REQUEST: Keys = &[
    Key::optional("format", Format::Words(&FORMATS), "Encoding of the parameters.").or("form"),
    Key::optional("headers", FIELDS, "Further header fields; a value is text or a secret."),
    Key::optional("params", PARAMS, "Further parameters: text, or a list to send one several times."),
    Key::optional("timeout", DURATION, "Limit on the duration of one token request."),
    Key::optional("min_interval", DURATION, "Shortest time between two refreshes before their time.")
        .or("5s"),
];

const FORMATS: [(&str, RequestFormat); 2] = [("form", RequestFormat::Form), ("json", RequestFormat::Json)];

/// Settings of token requests.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TokenRequest {
    /// `token_request.format`
    pub format: RequestFormat,
    /// `token_request.headers`: further header fields, whose values may be secret.
    pub headers: Vec<(HeaderName, Secret)>,
    /// `token_request.params`: further form parameters, in the order of the file.
    pub params: Vec<(String, String)>,
    /// `token_request.timeout`: limit on one request, from connecting to the last byte; `None` leaves it to
    /// the schedule.
    pub timeout: Option<Duration>,
    /// `token_request.min_interval`: shortest time between two forced refreshes.
    pub min_interval: Duration,
    /// `scope_separator`: the text between the scopes in the request.
    pub scope_separator: String,
    /// `proxy`: the HTTP proxy on the way to the token endpoint.
    pub proxy: Option<ProxyConfig>,
}

/// Without the values of `params`, because some providers expect a secret there.
impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.params.iter().map(|(name, _)| name).collect();
        f.debug_struct("TokenRequest")
            .field("format", &self.format)
            .field("headers", &self.headers)
            .field("params", &params)
            .field("timeout", &self.timeout)
            .field("min_interval", &self.min_interval)
            .field("scope_separator", &self.scope_separator)
            .field("proxy", &self.proxy)
            .finish()
    }
}

impl Default for TokenRequest {
    fn default() -> Self {
        Self {
            format: RequestFormat::Form,
            headers: Vec::new(),
            params: Vec::new(),
            timeout: None,
            min_interval: MIN_INTERVAL,
            scope_separator: " ".into(),
            proxy: None,
        }
    }
}

/// Default of `min_interval`.
const MIN_INTERVAL: Duration = Duration::from_secs(5);

/// `token_request.format`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749 §4.4.2).
    Form,
    /// A JSON object of the same parameters.
    Json,
}

/// Header fields that a token request always has, or that belong to the connection.
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

/// Reads `token_request`, `scope_separator` and `proxy`. `written`: the form parameters that the grant
/// writes.
pub(crate) fn read(mapping: &mut Mapping<'_>, written: &[&str]) -> TokenRequest {
    let request = mapping.optional("token_request").and_then(|value| section(&value, written));
    let request = request.unwrap_or_default();
    let separator = mapping.optional("scope_separator").and_then(|value| value.parse(separator));
    let proxy = mapping.optional("proxy").and_then(|value| proxy::read(&value));
    TokenRequest { scope_separator: separator.unwrap_or(request.scope_separator), proxy, ..request }
}

fn section(value: &Value<'_>, written: &[&str]) -> Option<TokenRequest> {
    let default = TokenRequest::default();
    let mut mapping = value.mapping()?;
    let format = mapping.optional("format").and_then(|value| value.one_of(&FORMATS));
    let headers = mapping.optional("headers").map(|value| header_reader::fields(&value, &RESERVED));
    let params = mapping.optional("params").map(|value| params(&value, written));
    let timeout = mapping.optional("timeout").and_then(|value| duration::positive(&value));
    let min_interval = mapping.optional("min_interval").and_then(|value| duration::positive(&value));
    mapping.reject_unknown_keys();
    Some(TokenRequest {
        format: format.unwrap_or(default.format),
        headers: headers.unwrap_or_default(),
        params: params.unwrap_or_default(),
        timeout,
        min_interval: min_interval.unwrap_or(default.min_interval),
        ..default
    })
}

fn separator(text: &str) -> Result<String, String> {
    match text {
        "" => Err("empty; the scopes would become one scope".into()),
        _ if text.len() <= 4 && text.chars().all(|c| c == ' ' || c.is_ascii_punctuation()) => Ok(text.into()),
        _ => Err("a separator has at most 4 characters: spaces and ASCII punctuation".into()),
    }
}
