//! The server that a credential is obtained from: its URL, and the way there.

use url::Url;

use crate::config::http_url;
use crate::config::http_url::{HTTP_URL, UrlPolicy};
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key};
use crate::config::reader::value::Value;
use crate::config::service::proxy;
use crate::config::service::proxy::{PROXY, ProxyConfig};
use crate::config::tls::client;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;

/// The server that a credential is obtained from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CredentialServer {
    /// Its URL, without a query.
    pub url: Url,
    /// TLS toward it.
    pub tls: Tls,
    /// The forward proxy to it.
    pub proxy: Option<ProxyConfig>,
    /// Whether it may be `http://` to another machine.
    pub plaintext: bool,
}

/// The key of its URL.
pub const API_URL: Key = Key::optional("api_url", HTTP_URL, "URL of its API.");

/// The key of the URL of a store of secrets.
pub const STORE_URL: Key = Key::optional("url", HTTP_URL, "URL of its API.");

/// The key of TLS toward it.
pub const SERVER_TLS: Key = Key::optional("tls", TLS, "TLS toward that URL.");
/// The key of the forward proxy to it.
pub const SERVER_PROXY: Key = Key::optional("proxy", PROXY, "Forward proxy to that URL.");
/// The key that allows `http://`.
pub const SERVER_PLAINTEXT: Key =
    Key::optional("allow_plaintext", Format::Bool, "That URL may be http:// to another machine.").or("false");

impl CredentialServer {
    /// Reads `api_url`, and the keys beside it. Returns `None` only with an error on the report.
    pub fn read(mapping: &mut Mapping<'_>, default: &str) -> Option<Self> {
        Self::read_at(mapping, &API_URL, default, "the default")
    }

    /// Reads the URL at this key, and the keys beside it. `default` is the URL without it, which is from `place`.
    pub fn read_at(mapping: &mut Mapping<'_>, key: &'static Key, default: &str, place: &str) -> Option<Self> {
        let value = mapping.optional(key.name);
        Self::read_url(mapping, value.as_ref(), |mapping, policy| {
            let default = http_url::parse(default, policy);
            default.map_err(|error| mapping.value().error(format!("{place}: {error}"))).ok()
        })
    }

    /// Reads `url` of a store of secrets, and the keys beside it. Without a default it is required. Returns `None` only with an
    /// error on the report.
    pub fn read_store(mapping: &mut Mapping<'_>, default: Option<Url>) -> Option<Self> {
        let value = match default {
            None => mapping.required(STORE_URL.name),
            Some(_) => mapping.optional(STORE_URL.name),
        };
        Self::read_url(mapping, value.as_ref(), |_, _| default)
    }

    /// Reads a URL that must be there, and the keys beside it. Returns `None` only with an error on the report.
    pub fn required(mapping: &mut Mapping<'_>, key: &'static str) -> Option<Self> {
        let value = mapping.required(key);
        Self::read_url(mapping, value.as_ref(), |_, _| None)
    }

    /// Reads another URL of the server.
    pub fn another(&self, value: &Value<'_>) -> Option<Url> {
        let policy = UrlPolicy { plaintext: self.plaintext, query: false };
        value.parse(|text| http_url::parse(text, &policy))
    }

    fn read_url(
        mapping: &mut Mapping<'_>,
        url: Option<&Value<'_>>,
        default: impl FnOnce(&Mapping<'_>, &UrlPolicy) -> Option<Url>,
    ) -> Option<Self> {
        let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean());
        let plaintext = plaintext.unwrap_or_default();
        let policy = UrlPolicy { plaintext, query: false };
        let url = match url {
            Some(value) => value.parse(|text| http_url::parse(text, &policy)),
            None => default(mapping, &policy),
        };
        let is_https = url.as_ref().map(|url| url.scheme() == "https");
        let tls = mapping.optional("tls");
        let tls = tls.map_or_else(Tls::default, |value| client::of_token_endpoint(&value, is_https));
        let proxy = mapping.optional("proxy").and_then(|value| proxy::read(&value));
        Some(Self { url: url?, tls, proxy, plaintext })
    }
}
