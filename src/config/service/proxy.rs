//! `proxy`: an HTTP proxy on the way to an upstream or to a token endpoint.

use super::upstream_url;
use crate::config::basic_auth;
use crate::config::basic_auth::{PASSWORD, USERNAME, Username};
use crate::config::host::Host;
use crate::config::http_url::{HTTP_URL, UrlPolicy};
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::secret::Secret;

/// The format of `proxy`.
pub(crate) const PROXY: Format = Format::Defined(&Definition {
    name: "proxy",
    description: "A forward proxy that opens tunnels.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[Key::required("url", HTTP_URL, "`http://HOST:PORT` of the proxy."), USERNAME, PASSWORD];

/// An HTTP proxy that opens tunnels (RFC 9110 §9.3.6). Of a TLS connection it sees only the name of the
/// server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ProxyConfig {
    /// The host of `url`.
    pub host: Host,
    /// The port of `url`.
    pub port: u16,
    /// `username` and `password` (RFC 7617).
    pub credentials: Option<(Username, Option<Secret>)>,
}

/// Reads `proxy`.
pub(crate) fn read(value: &Value<'_>) -> Option<ProxyConfig> {
    let mut mapping = value.mapping()?;
    let url = mapping.required("url");
    let credentials = if mapping.has("username") || mapping.has("password") {
        Some(basic_auth::name_and_password(&mut mapping))
    } else {
        None
    };
    mapping.reject_unknown_keys();
    let (host, port) = url?.parse(host_and_port)?;
    let credentials = match credentials {
        Some(credentials) => Some(credentials?),
        None => None,
    };
    Some(ProxyConfig { host, port, credentials })
}

fn host_and_port(text: &str) -> Result<(Host, u16), String> {
    if !text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")) {
        return Err(
            "the URL of an HTTP proxy is `http://HOST:PORT`; the connection through it has its own TLS"
                .into(),
        );
    }
    if text.contains('@') {
        return Err(
            "the URL of the proxy contains credentials; put them under `username` and `password`".into()
        );
    }
    let url = upstream_url::parse(text, &UrlPolicy { plaintext: true, query: false })?;
    if url.base_path.is_empty() {
        Ok((url.host, url.port))
    } else {
        Err("the URL of a proxy has no path: `http://HOST:PORT`".into())
    }
}
