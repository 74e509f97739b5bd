//! `grant_type`, and a type and a reader for the keys of each grant.

use std::fmt;

use url::Url;

use super::caller_tokens;
use super::caller_tokens::CallerTokenLimits;
use super::client_auth::non_empty;
use super::jwt_bearer;
use super::jwt_bearer::JwtBearer;
use super::params::{PARAMS, params};
use super::token_exchange;
use super::token_exchange::{SubjectToken, TokenExchange};
use crate::config::http_url;
use crate::config::http_url::{HTTP_URL, UrlPolicy};
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::secret::Secret;

/// `grant_type`
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Grant {
    /// RFC 6749 §4.4.
    ClientCredentials,
    /// Zoom's grant of an account to one of its apps (Server-to-Server OAuth), with the ID of the account.
    AccountCredentials(String),
    /// RFC 6749 §4.3.
    Password(Password),
    /// RFC 6749 §6: a refresh token that another program obtained.
    RefreshToken(Secret),
    /// RFC 6749 §4.1; started by `sidekey login`.
    AuthorizationCode(Box<AuthorizationCode>),
    /// RFC 8628; started by `sidekey login`.
    DeviceCode(DeviceCode),
    /// RFC 7523 §2.1.
    JwtBearer(Box<JwtBearer>),
    /// RFC 7523 §2.1, with the token of the caller as the assertion.
    CallerAssertion(CallerTokenLimits),
    /// RFC 8693.
    TokenExchange(Box<TokenExchange>),
}

impl Grant {
    /// The value of `grant_type` in the configuration.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AccountCredentials(_) => "account_credentials",
            Self::Password(_) => "password",
            Self::RefreshToken(_) => "refresh_token",
            Self::AuthorizationCode(_) => "authorization_code",
            Self::DeviceCode(_) => "device_code",
            Self::JwtBearer(_) | Self::CallerAssertion(_) => "jwt_bearer",
            Self::TokenExchange(_) => "token_exchange",
        }
    }

    /// Whether a user has to log in.
    pub fn needs_login(&self) -> bool {
        match self {
            Self::AuthorizationCode(_) | Self::DeviceCode(_) => true,
            Self::ClientCredentials
            | Self::AccountCredentials(_)
            | Self::Password(_)
            | Self::RefreshToken(_)
            | Self::JwtBearer(_)
            | Self::CallerAssertion(_)
            | Self::TokenExchange(_) => false,
        }
    }

    /// The limits on the tokens of callers, if tokens are requested with those of callers.
    pub fn caller_tokens(&self) -> Option<CallerTokenLimits> {
        match self {
            Self::CallerAssertion(limits) => Some(*limits),
            Self::TokenExchange(exchange) => match exchange.subject_token {
                SubjectToken::Caller(limits) => Some(limits),
                SubjectToken::Source(_) => None,
            },
            _ => None,
        }
    }

    /// Whether it uses refresh tokens that must not be lost or used twice.
    pub fn keeps_refresh_token(&self) -> bool {
        match self {
            Self::RefreshToken(_) | Self::AuthorizationCode(_) | Self::DeviceCode(_) => true,
            // The password grant can be used again instead.
            Self::ClientCredentials
            | Self::AccountCredentials(_)
            | Self::Password(_)
            | Self::JwtBearer(_)
            | Self::CallerAssertion(_)
            | Self::TokenExchange(_) => false,
        }
    }
}

/// `grant_type: password`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Password {
    /// The resource owner's name.
    pub username: String,
    /// The resource owner's password.
    pub password: Secret,
}

/// `grant_type: authorization_code`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AuthorizationCode {
    /// Authorization endpoint; `None` if the metadata of the issuer names it.
    pub authorization_url: Option<Url>,
    /// Redirect URI; by default a free port of this machine (RFC 8252 §7.3).
    pub redirect_uri: Option<Url>,
    /// Further parameters of the authorization request, in the order of the file.
    pub authorization_params: Vec<(String, String)>,
}

/// Without queries and values, because some providers expect a key there.
impl fmt::Debug for AuthorizationCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params: Vec<_> = self.authorization_params.iter().map(|(name, _)| name).collect();
        f.debug_struct("AuthorizationCode")
            .field("authorization_url", &self.authorization_url.as_ref().map(without_query))
            .field("redirect_uri", &self.redirect_uri.as_ref().map(without_query))
            .field("authorization_params", &params)
            .finish()
    }
}

/// `grant_type: device_code`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct DeviceCode {
    /// Device authorization endpoint (RFC 8628 §3.1); `None` if the metadata of the issuer names it.
    pub device_authorization_url: Option<Url>,
}

/// Without a query, because some providers expect a key there.
impl fmt::Debug for DeviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.device_authorization_url.as_ref().map(without_query);
        f.debug_struct("DeviceCode").field("device_authorization_url", &url).finish()
    }
}

fn without_query(url: &Url) -> String {
    url.as_str().split('?').next().unwrap_or_default().to_owned()
}

/// Reads the keys of one grant.
type Reader = fn(&mut Mapping<'_>, &UrlPolicy) -> Option<Grant>;

/// The properties of a grant, known before its keys are read.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Requirement for the client.
    pub(crate) client: ClientRequirement,
    /// The keys that not every grant has.
    pub(crate) keys: Keys,
    /// Keys that some methods of client authentication have as well.
    pub(crate) shares: Keys,
    /// Form parameters that not every grant writes.
    pub(crate) writes: &'static [&'static str],
    /// Reads the keys.
    pub(crate) read: Reader,
}

/// The client that a grant requires (RFC 6749 §2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientRequirement {
    /// A confidential client, which authenticates.
    Confidential,
    /// A client identifier; public clients are allowed.
    Public,
    /// No client: the grant itself identifies who requests the token.
    Optional,
}

/// The key `grant_type`.
pub(crate) const GRANT_TYPE: Key =
    Key::required("grant_type", Format::Words(&KINDS), "What a token is requested with (RFC 6749).");

/// Every grant.
pub(crate) const KINDS: [(&str, Kind); 8] = [
    (
        "client_credentials",
        Kind {
            client: ClientRequirement::Confidential,
            keys: &[],
            shares: &[],
            writes: &[],
            read: client_credentials,
        },
    ),
    (
        "account_credentials",
        Kind {
            client: ClientRequirement::Confidential,
            keys: &[Key::required(
                "account_id",
                Format::Text,
                "ID of the account (grant `account_credentials`).",
            )],
            shares: &[],
            writes: &["account_id"],
            read: account_credentials,
        },
    ),
    (
        "password",
        Kind {
            client: ClientRequirement::Public,
            keys: &[
                Key::required("username", Format::Text, "Resource owner's user name (grant `password`)."),
                Key::required("password", SECRET, "Resource owner's password (grant `password`)."),
            ],
            shares: &[],
            writes: &["username", "password", "refresh_token"],
            read: password,
        },
    ),
    (
        "refresh_token",
        Kind {
            client: ClientRequirement::Public,
            keys: &[Key::required(
                "refresh_token",
                SECRET,
                "The first refresh token (grant `refresh_token`); from then on its own successors are used.",
            )],
            shares: &[],
            writes: &["refresh_token"],
            read: refresh_token,
        },
    ),
    (
        "authorization_code",
        Kind {
            client: ClientRequirement::Public,
            keys: &[
                Key::depends(
                    "authorization_url",
                    HTTP_URL,
                    "Authorization endpoint (grant `authorization_code`); with `issuer`, its metadata may name it.",
                ),
                Key::optional(
                    "redirect_uri",
                    HTTP_URL,
                    "Where the browser comes back to. Default: a free port of this machine.",
                ),
                Key::optional(
                    "authorization_params",
                    PARAMS,
                    "Further parameters of the authorization request.",
                ),
            ],
            shares: &[],
            writes: &["code", "code_verifier", "redirect_uri", "refresh_token"],
            read: authorization_code,
        },
    ),
    (
        "device_code",
        Kind {
            client: ClientRequirement::Public,
            keys: &[Key::depends(
                "device_authorization_url",
                HTTP_URL,
                "Device authorization endpoint (RFC 8628); with `issuer`, its metadata may name it.",
            )],
            shares: &[],
            writes: &["device_code", "refresh_token"],
            read: device_code,
        },
    ),
    (
        "jwt_bearer",
        Kind {
            client: ClientRequirement::Optional,
            keys: jwt_bearer::KEYS,
            shares: jwt_bearer::SHARED,
            writes: &["assertion"],
            read: jwt_bearer,
        },
    ),
    (
        "token_exchange",
        Kind {
            client: ClientRequirement::Optional,
            keys: token_exchange::KEYS,
            shares: &[],
            writes: &[
                "subject_token",
                "subject_token_type",
                "actor_token",
                "actor_token_type",
                "requested_token_type",
                "audience",
                "resource",
            ],
            read: token_exchange,
        },
    ),
];

/// Reads `grant_type`. Keys of other grants are rejected; they are not checked if `grant_type` is missing or
/// invalid.
pub(crate) fn kind(mapping: &mut Mapping<'_>) -> Option<Kind> {
    let value = mapping.required("grant_type");
    let kind = value.and_then(|value| value.one_of(&KINDS));
    for (_, other) in KINDS {
        let Some(kind) = kind else {
            mapping.allow_unread(other.keys);
            continue;
        };
        for key in other.keys.iter().filter(|key| kind.keys.iter().all(|own| own.name != key.name)) {
            mapping.forbid(key, of_another_grant(key.name));
        }
    }
    kind
}

/// The message about a key of another grant.
fn of_another_grant(key: &str) -> String {
    match key {
        // Parameters that many providers want in requests of every grant.
        "audience" | "resource" => format!(
            "this key belongs to `grant_type: token_exchange`; for another grant write \
             `token_request: {{ params: {{ {key}: … }} }}`"
        ),
        _ => "this key belongs to another `grant_type`; remove it".into(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the signature of a reader")]
fn client_credentials(_: &mut Mapping<'_>, _: &UrlPolicy) -> Option<Grant> {
    Some(Grant::ClientCredentials)
}

fn account_credentials(mapping: &mut Mapping<'_>, _: &UrlPolicy) -> Option<Grant> {
    mapping.required("account_id").and_then(|value| value.parse(non_empty)).map(Grant::AccountCredentials)
}

fn password(mapping: &mut Mapping<'_>, _: &UrlPolicy) -> Option<Grant> {
    let username = mapping.required("username").and_then(|value| value.parse(non_empty));
    let password = mapping.required("password").and_then(|value| secret::read(&value));
    Some(Grant::Password(Password { username: username?, password: password? }))
}

fn refresh_token(mapping: &mut Mapping<'_>, _: &UrlPolicy) -> Option<Grant> {
    let token = mapping.required("refresh_token").and_then(|value| secret::read(&value));
    Some(Grant::RefreshToken(token?))
}

fn authorization_code(mapping: &mut Mapping<'_>, policy: &UrlPolicy) -> Option<Grant> {
    let authorization_url = url(mapping, "authorization_url", policy);
    let redirect_uri = mapping.optional("redirect_uri").map(|value| value.parse(redirect_uri));
    let params = mapping.optional("authorization_params");
    let params = params.map_or_else(Vec::new, |value| self::params(&value, &AUTHORIZATION));
    let grant = AuthorizationCode {
        authorization_url: authorization_url?,
        redirect_uri: redirect_uri.flatten(),
        authorization_params: params,
    };
    Some(Grant::AuthorizationCode(Box::new(grant)))
}

/// Parameters of the authorization request that Sidekey writes (RFC 6749 §4.1.1, RFC 7636 §4.3).
const AUTHORIZATION: [&str; 5] =
    ["response_type", "redirect_uri", "state", "code_challenge", "code_challenge_method"];

/// Parses a redirect URI. `http://` is allowed to this machine only (RFC 8252 §7.3, §8.3), because the code
/// is sent there.
fn redirect_uri(text: &str) -> Result<Url, String> {
    http_url::parse(text, &UrlPolicy { plaintext: false, query: false }).map_err(|error| {
        if error.starts_with("`http://`") {
            return "`http://` would send the code unencrypted; it is allowed for this machine only (http://127.0.0.1:PORT/…)".into();
        }
        error
    })
}

fn device_code(mapping: &mut Mapping<'_>, policy: &UrlPolicy) -> Option<Grant> {
    let url = url(mapping, "device_authorization_url", policy);
    Some(Grant::DeviceCode(DeviceCode { device_authorization_url: url? }))
}

/// Reads the URL of an endpoint. `Some(None)` means that the metadata of `issuer` names it; `None` means an
/// error.
#[expect(clippy::option_option, reason = "an error is neither of the two")]
fn url(mapping: &mut Mapping<'_>, key: &'static str, policy: &UrlPolicy) -> Option<Option<Url>> {
    if !mapping.has(key) && mapping.has("issuer") {
        return Some(None);
    }
    mapping.required(key)?.parse(|text| http_url::parse(text, policy)).map(Some)
}

fn token_exchange(mapping: &mut Mapping<'_>, _: &UrlPolicy) -> Option<Grant> {
    token_exchange::read(mapping).map(|exchange| Grant::TokenExchange(Box::new(exchange)))
}

fn jwt_bearer(mapping: &mut Mapping<'_>, _: &UrlPolicy) -> Option<Grant> {
    let assertion = mapping.optional("assertion");
    let limits = caller_tokens::limits(mapping, assertion.is_some());
    if let Some(value) = assertion {
        for key in jwt_bearer::OF_ASSERTION.iter().chain(jwt_bearer::SHARED) {
            mapping.forbid(key, "this key has no effect with `assertion`, which is the token of the caller");
        }
        caller_tokens::from_caller(&value)?;
        return Some(Grant::CallerAssertion(limits));
    }
    jwt_bearer::read(mapping).map(|grant| Grant::JwtBearer(Box::new(grant)))
}
