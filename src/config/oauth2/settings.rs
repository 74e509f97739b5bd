//! `type: oauth2`: the settings of a token and its requests.

use std::time::Duration;

use url::Url;

use super::client_auth::ClientAuth;
use super::dpop::Dpop;
use super::grant::{ClientRequirement, Grant};
use super::issuer::TokenUrl;
use super::token_field::TokenField;
use super::token_request::TokenRequest;
use super::{client_auth, dpop, grant, issuer, token_field, token_request};
use crate::config::auth::placement::Placement;
use crate::config::http_url::UrlPolicy;
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::tls::client;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;
use crate::secret::Character;

/// The keys that say which others there are.
pub const KEYS: Keys = &[
    grant::GRANT_TYPE,
    Key::depends("client_id", Format::Text, "Client identifier (RFC 6749 §2.2)."),
    client_auth::AUTH_METHOD,
];

/// The tables of the keys that every grant and every method of client authentication have.
pub(crate) const TOKEN: &[Keys] =
    &[SCOPES, PLACEMENT, token_request::KEYS, dpop::KEYS, ENDPOINT, issuer::KEYS];

const PLACEMENT: Keys = &[Key::optional(
    "token",
    token_field::TOKEN,
    "Which member of the response is the token, and where it goes. Default: a bearer token.",
)];

const SCOPES: Keys = &[Key::optional(
    "scopes",
    Format::AnyOf(&[Format::Text, Format::List(&Format::Text)]),
    "Requested scopes: a list, or one text with spaces between.",
)];

const ENDPOINT: Keys = &[
    Key::optional("default_expires_in", DURATION, "Lifetime of a token whose response states none."),
    Key::optional("accept_token_type", Format::Text, "A `token_type` that is accepted for a bearer token."),
    Key::optional("tls", TLS, "TLS toward the token endpoint."),
    Key::optional("allow_plaintext", Format::Bool, "`token_url` may be http:// to another machine.")
        .or("false"),
];

/// The settings of a token, secrets included. Services with equal settings share one token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OAuth2 {
    /// The grant.
    pub grant: Grant,
    /// The token endpoint, or the issuer that names it.
    pub token_url: TokenUrl,
    /// Client identifier (RFC 6749 §2.2); may be empty for grants that need no client (`jwt_bearer`,
    /// `token_exchange`).
    pub client_id: String,
    /// Client authentication.
    pub client_auth: ClientAuth,
    /// Requested scopes; joined by `request.scope_separator`.
    pub scopes: Vec<String>,
    /// Settings of token requests.
    pub request: TokenRequest,
    /// Where the token goes.
    pub token: Placement,
    /// The member of the response that is the token, if it is another one than the access token.
    pub token_field: Option<TokenField>,
    /// DPoP, if tokens are bound to a key.
    pub dpop: Option<Dpop>,
    /// Lifetime of a token if the response states none that is understood.
    pub default_expires_in: Option<Duration>,
    /// A `token_type` of responses that is accepted for a bearer token.
    pub accept_token_type: Option<String>,
    /// TLS toward the token endpoint.
    pub tls: Tls,
}

impl OAuth2 {
    /// A bearer token that is requested with this grant, and whatever else has a default. The client does not authenticate.
    pub fn new(grant: Grant, token_url: Url) -> Self {
        Self {
            grant,
            token_url: TokenUrl::Endpoint(token_url),
            client_id: String::new(),
            client_auth: ClientAuth::None,
            scopes: Vec::new(),
            request: TokenRequest::default(),
            token: Placement::bearer(),
            token_field: None,
            dpop: None,
            default_expires_in: None,
            accept_token_type: None,
            tls: Tls::default(),
        }
    }
}

/// Reads the keys of `type: oauth2`. Returns `None` only with an error on the report.
pub fn read(mapping: &mut Mapping<'_>) -> Option<OAuth2> {
    let kind = grant::kind(mapping);
    let client = kind.map_or(ClientRequirement::Confidential, |kind| kind.client);
    let client_id = match client {
        ClientRequirement::Optional if !mapping.has("client_id") => Some(String::new()),
        _ => mapping.required("client_id").and_then(|value| value.parse(client_id)),
    };
    let client_auth = client_auth::read(
        mapping,
        client != ClientRequirement::Confidential,
        kind.map_or(&[], |kind| kind.shares),
        client_id.as_deref(),
    );
    if client_id.as_deref() == Some("") && client_auth.as_ref().is_some_and(|auth| *auth != ClientAuth::None)
    {
        mapping.value().error("`client_id` is required for client authentication");
    }
    for keys in TOKEN {
        mapping.allow(keys);
    }
    let scopes = mapping.optional("scopes").map_or_else(Vec::new, |value| scopes(&value));
    let request = token_request::read(mapping, kind.map_or(&[], |kind| kind.writes));
    let has_token = mapping.has("token");
    let token = token_field::read(mapping);
    let dpop = dpop::read(mapping);
    if dpop.is_some() && has_token {
        mapping.value().error(
            "`token` has no place beside `dpop: true`: such a token goes in `Authorization` (RFC 9449 §7.1)",
        );
    }
    let default_expires_in =
        mapping.optional("default_expires_in").and_then(|value| duration::positive(&value));
    let accept_token_type = accept_token_type(mapping, dpop.is_some());
    let tls = mapping.optional("tls");
    let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    let policy = UrlPolicy { plaintext, query: true };
    let mut grant = kind.and_then(|kind| {
        mapping.allow(kind.keys);
        mapping.allow(kind.shares);
        (kind.read)(mapping, &policy)
    });
    if let (Some(Grant::JwtBearer(grant)), Some(client_id)) = (&mut grant, &client_id) {
        grant.complete(mapping, client_id, &scopes);
    }
    if dpop.is_some() && grant.as_ref().is_some_and(|grant| grant.caller_tokens().is_some()) {
        mapping.value().error("`dpop` is not possible with a token of the caller (`{ from: caller }`)");
    }
    let token_url = issuer::read(mapping, plaintext);
    let https = token_url
        .as_ref()
        .map(|url| url.as_str().get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https")));
    let tls = tls.map_or_else(Tls::default, |value| client::of_token_endpoint(&value, https));
    if let Some(auth) = client_auth.as_ref().filter(|auth| auth.is_by_certificate()) {
        let method = auth.as_str();
        if https == Some(false) {
            mapping
                .value()
                .error(format!("`auth_method: {method}` requires TLS: `token_url` must be `https://`"));
        } else if tls.client.is_none() {
            mapping.value().error(format!(
                "`auth_method: {method}` requires a client certificate: `tls: {{ cert_file: PATH, key_file: PATH }}`"
            ));
        }
    }
    let (token_field, token) = token?;
    Some(OAuth2 {
        grant: grant?,
        token_url: token_url?,
        client_id: client_id?,
        client_auth: client_auth?,
        scopes,
        request,
        token,
        token_field,
        dpop,
        default_expires_in,
        accept_token_type,
        tls,
    })
}

/// Reads `accept_token_type`.
fn accept_token_type(mapping: &mut Mapping<'_>, is_dpop: bool) -> Option<String> {
    let value = mapping.optional("accept_token_type")?;
    if is_dpop {
        value.error("this key has no effect with `dpop: true`, whose tokens are of type DPoP");
        return None;
    }
    value.parse(|text| match text {
        _ if text.eq_ignore_ascii_case("dpop") => {
            Err("a DPoP token requires proofs: set `dpop: true`".into())
        }
        _ => client_auth::non_empty(text),
    })
}

fn client_id(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("empty".into());
    }
    match Character::first_unseen(text) {
        Some(found) => Err(format!("the client id contains {found}")),
        None => Ok(text.to_owned()),
    }
}

/// Reads `scopes`: a list, or one text with spaces between the scopes.
fn scopes(value: &Value<'_>) -> Vec<String> {
    let mut scopes = Vec::new();
    if value.is_list() {
        for value in value.list().unwrap_or_default() {
            scopes.extend(value.parse(scope));
        }
    } else if let Some(text) = value.text() {
        for word in text.split_whitespace() {
            match scope(word) {
                Ok(word) => scopes.push(word),
                Err(message) => value.error(message),
            }
        }
    }
    scopes
}

/// Checks a scope (`scope-token`, RFC 6749 §3.3).
fn scope(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
    if text.is_empty() || !text.chars().all(allowed) {
        return Err("a scope is one word of visible ASCII without quotes and backslashes".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn scope_is_one_word() {
        assert!(scope("https://www.example.com/auth/x.read").is_ok());
        for text in ["", "a b", "a\"", "a\\", "é"] {
            assert!(scope(text).is_err(), "{text}");
        }
    }
}
