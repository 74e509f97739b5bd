//! The metadata of an issuer (RFC 8414, OpenID Connect Discovery): the URLs of its endpoints.
//!
//! The document is trusted because TLS authenticates its server and because it names exactly the configured
//! issuer. It is cached, and read again after a request to the endpoint in it has failed. While it cannot be
//! read, the last one stays in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use url::Url;

use super::content_coding;
use super::http::HttpClient;
use crate::config::Issuer;
use crate::oauth2::sanitize::sanitize;
use crate::refresh::{SourceError, SourceErrorKind};

/// The server in messages.
const WHO: &str = "the issuer";

/// The cached metadata of one issuer.
#[derive(Default)]
pub(crate) struct Discovery {
    metadata: Mutex<Option<Arc<Metadata>>>,
    /// Whether the metadata has to be read again before it is used.
    is_stale: AtomicBool,
}

/// The part of the metadata that is used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metadata {
    token_endpoint: Url,
    /// The token endpoint for clients that authenticate with a certificate (RFC 8705 §5).
    mtls_token_endpoint: Option<Url>,
    /// As written in the document: they are parsed at a login, so that an error in them stops no token.
    authorization_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    /// Whether every authorization response names the issuer (RFC 9207 §3).
    has_iss_in_responses: bool,
}

/// The provider that an authorization response must come from (RFC 9207 §2.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedIssuer {
    /// The value that `iss` must have, character by character.
    pub identifier: String,
    /// Whether a response without `iss` is rejected.
    pub is_in_responses: bool,
}

/// An endpoint that is used when a person logs in.
#[derive(Debug, Clone, Copy)]
pub enum LoginEndpoint {
    /// The endpoint that a browser is sent to (RFC 6749 §3.1).
    Authorization,
    /// The endpoint that a device requests a code from (RFC 8628 §3.1).
    DeviceAuthorization,
}

impl LoginEndpoint {
    /// The name in the metadata, and the configuration key that overrides it.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Authorization => ("authorization_endpoint", "authorization_url"),
            Self::DeviceAuthorization => ("device_authorization_endpoint", "device_authorization_url"),
        }
    }
}

impl Metadata {
    /// The token endpoint. `by_certificate`: for a client that authenticates with a certificate.
    pub(crate) fn token_endpoint(&self, by_certificate: bool) -> &Url {
        self.mtls_token_endpoint.as_ref().filter(|_| by_certificate).unwrap_or(&self.token_endpoint)
    }

    /// A login endpoint, held to the rules that the configuration has for URLs.
    pub(crate) fn login_endpoint(&self, issuer: &Issuer, which: LoginEndpoint) -> Result<Url, SourceError> {
        let (name, key) = which.names();
        let text = match which {
            LoginEndpoint::Authorization => &self.authorization_endpoint,
            LoginEndpoint::DeviceAuthorization => &self.device_authorization_endpoint,
        };
        let found = match text {
            Some(text) => issuer
                .endpoint(text)
                .map_err(|error| format!("the `{name}` it names cannot be used: {error}")),
            None => Err(format!("its metadata has no `{name}`; give `{key}`")),
        };
        found.map_err(|what| SourceError::new(SourceErrorKind::Malformed, format!("{WHO}: {what}")))
    }

    /// What authorization responses of this issuer must name.
    pub(crate) fn expected_issuer(&self, issuer: &Issuer) -> ExpectedIssuer {
        let is_in_responses = self.has_iss_in_responses;
        ExpectedIssuer { identifier: issuer.as_str().to_owned(), is_in_responses }
    }

    /// Reads the part that is used. URLs are held to the rules that the configuration has for them.
    fn parse(issuer: &Issuer, body: &[u8]) -> Result<Self, String> {
        let document: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_| "its metadata is no JSON object".to_owned())?;
        let text = |object: &Map<String, Value>, name: &str| {
            object.get(name).and_then(Value::as_str).map(str::to_owned)
        };
        match text(&document, "issuer") {
            // Compared character by character (RFC 8414 §3.3), so that no issuer can impersonate another.
            Some(named) if named == issuer.as_str() => {}
            Some(named) => {
                return Err(format!(
                    "its metadata names the issuer `{}`; `issuer` has to match it exactly",
                    sanitize(&named)
                ));
            }
            None => return Err("its metadata names no issuer".into()),
        }
        let endpoint = |text: String| {
            issuer
                .endpoint(&text)
                .map_err(|error| format!("the token endpoint it names cannot be used: {error}"))
        };
        let aliases = document.get("mtls_endpoint_aliases").and_then(Value::as_object);
        let mtls = aliases.and_then(|aliases| text(aliases, "token_endpoint"));
        Ok(Self {
            token_endpoint: text(&document, "token_endpoint")
                .ok_or_else(|| "its metadata has no `token_endpoint`".to_owned())
                .and_then(endpoint)?,
            mtls_token_endpoint: mtls.map(endpoint).transpose()?,
            authorization_endpoint: text(&document, "authorization_endpoint"),
            device_authorization_endpoint: text(&document, "device_authorization_endpoint"),
            has_iss_in_responses: match document.get("authorization_response_iss_parameter_supported") {
                Some(Value::Bool(is_supported)) => *is_supported,
                Some(Value::String(text)) => text == "true",
                _ => false,
            },
        })
    }
}

impl Discovery {
    /// The metadata, from the cache or read now.
    pub(crate) async fn metadata(
        &self,
        issuer: &Issuer,
        http: &HttpClient,
        limit: Duration,
    ) -> Result<Arc<Metadata>, SourceError> {
        let known = self.metadata.lock().clone();
        if let Some(known) = known.clone().filter(|_| !self.is_stale.load(Ordering::Relaxed)) {
            return Ok(known);
        }
        match (read(issuer, http, limit).await, known) {
            (Ok(metadata), _) => {
                let metadata = Arc::new(metadata);
                *self.metadata.lock() = Some(metadata.clone());
                self.is_stale.store(false, Ordering::Relaxed);
                Ok(metadata)
            }
            (Err(_), Some(known)) => Ok(known),
            (Err(error), None) => Err(error),
        }
    }

    /// Marks the metadata for reading after a failed token request, if the endpoint may have moved.
    pub(crate) fn invalidate_if_stale(&self, error: &SourceError) {
        // An answer that rejects the request, or asks to wait, came from the right endpoint.
        if !matches!(
            error.kind,
            SourceErrorKind::Refused | SourceErrorKind::RateLimited | SourceErrorKind::Local
        ) {
            self.is_stale.store(true, Ordering::Relaxed);
        }
    }
}

/// Reads the document from the first URL that has it.
async fn read(issuer: &Issuer, http: &HttpClient, limit: Duration) -> Result<Metadata, SourceError> {
    let malformed = |what: &str| SourceError::new(SourceErrorKind::Malformed, format!("{WHO}: {what}"));
    let mut status = StatusCode::NOT_FOUND;
    for url in issuer.metadata_urls() {
        let client = http.client().map_err(|error| http.request_error(&error, WHO))?;
        let request = client.get(url).timeout(limit).header("accept", "application/json");
        let request = request.header("accept-encoding", content_coding::ACCEPTED);
        let mut answer = request.send().await.map_err(|error| http.request_error(&error, WHO))?;
        status = answer.status();
        if status.is_success() {
            let body = http.body(&mut answer, WHO).await?;
            return Metadata::parse(issuer, &body).map_err(|what| malformed(&what));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            let what = format!("{WHO} answered {} when asked for its metadata", status.as_u16());
            return Err(SourceError::new(SourceErrorKind::ServerError, what));
        }
    }
    let redirect = if status.is_redirection() { ", a redirect, which is never followed" } else { "" };
    Err(malformed(&format!(
        "there is no metadata below `/.well-known/` (the last answer was {}{redirect}); is `issuer` right? \
         Otherwise give `token_url`",
        status.as_u16()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, TokenUrl};
    use serde_json::json;

    fn issuer() -> Issuer {
        let text = "services: { a: { upstream: https://a.example, auth: { type: oauth2, grant_type: client_credentials, \
                    issuer: 'https://login.example/a', client_id: me, client_secret: s } } }";
        let config = Config::parse(text, "services.yaml", crate::credential::READERS).unwrap();
        let oauth2 = config.services[0].auth.settings::<crate::config::OAuth2>().unwrap();
        let TokenUrl::Issuer(issuer) = &oauth2.token_url else { panic!("an issuer") };
        issuer.clone()
    }

    #[test]
    fn metadata_is_accepted_only_if_it_names_the_issuer() {
        let parse = |document: Value| Metadata::parse(&issuer(), document.to_string().as_bytes());
        let good = json!({
            "issuer": "https://login.example/a", "token_endpoint": "https://login.example/a/token",
            "mtls_endpoint_aliases": { "token_endpoint": "https://mtls.login.example/a/token" },
            "authorization_endpoint": "https://login.example/a/auth?x=1",
        });
        let found = parse(good.clone()).unwrap();
        assert_eq!(found.token_endpoint(false).as_str(), "https://login.example/a/token");
        assert_eq!(found.token_endpoint(true).as_str(), "https://mtls.login.example/a/token");
        let authorization = found.login_endpoint(&issuer(), LoginEndpoint::Authorization).unwrap();
        assert_eq!(authorization.as_str(), "https://login.example/a/auth?x=1");
        let error = found.login_endpoint(&issuer(), LoginEndpoint::DeviceAuthorization).unwrap_err();
        assert!(
            error.message.contains("no `device_authorization_endpoint`; give `device_authorization_url`")
        );
        for odd in ["http://login.example/auth", "javascript:alert(1)", "file:///etc/passwd", "/auth"] {
            let mut document = good.clone();
            document["authorization_endpoint"] = json!(odd);
            // Tokens are still refreshed.
            let found = parse(document).unwrap();
            let error = found.login_endpoint(&issuer(), LoginEndpoint::Authorization).unwrap_err();
            assert!(error.message.contains("cannot be used"), "{odd}: {}", error.message);
        }
        for (announced, expected) in
            [(json!(true), true), (json!("true"), true), (json!(false), false), (Value::Null, false)]
        {
            let mut document = good.clone();
            document["authorization_response_iss_parameter_supported"] = announced;
            let expected_issuer = parse(document).unwrap().expected_issuer(&issuer());
            assert_eq!(expected_issuer.identifier, "https://login.example/a");
            assert_eq!(expected_issuer.is_in_responses, expected);
        }
        let changed = |name: &str, value: Value| {
            let mut document = good.clone();
            document[name] = value;
            parse(document).unwrap_err()
        };
        for other in ["https://login.example/a/", "https://login.example/A", "https://evil.example", ""] {
            assert!(changed("issuer", json!(other)).contains("metadata names the issuer"), "{other}");
        }
        assert!(changed("issuer", Value::Null).contains("names no issuer"));
        assert!(changed("token_endpoint", json!("http://login.example/token")).contains("cannot be used"));
        assert!(
            changed("token_endpoint", json!("https://u:p@login.example/token")).contains("cannot be used")
        );
        assert!(changed("token_endpoint", json!(7)).contains("no `token_endpoint`"));
        assert!(
            changed("mtls_endpoint_aliases", json!({ "token_endpoint": "ftp://x" }))
                .contains("cannot be used")
        );
        for body in ["", "[]", "<html>", "7"] {
            assert!(Metadata::parse(&issuer(), body.as_bytes()).is_err());
        }
    }
}
