//! The content of a state file, and its JSON.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::oauth2::client::stated_end::own_end;
use crate::oauth2::token::IssuedToken;
use crate::refresh::Expiry;
use crate::secret::{Secret, hex};

/// Bytes that are wiped when they are dropped.
pub(super) type ZeroizingBytes = Zeroizing<Vec<u8>>;

/// What is kept of a credential in a state file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateRecord {
    /// The refresh token to use next.
    pub refresh_token: Option<Secret>,
    /// The last access token, if `state.access_tokens` is set.
    pub access_token: Option<AccessTokenRecord>,
    /// The name of the login that the tokens come from. A running process that finds another name starts
    /// again with that login.
    pub login: Option<String>,
    /// The number of the write, so that two writes are never mistaken for one.
    pub serial: u64,
    /// The generation of the refresh token in the shared store of a fleet, if it is shared.
    pub generation: Option<u64>,
}

/// An access token on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessTokenRecord {
    /// The access token.
    pub value: Secret,
    /// When the token must no longer be sent, by the wall clock: no other clock outlives a process.
    pub expires: SystemTime,
    /// The whole lifetime of the token.
    pub lifetime: Duration,
    /// The scope that the endpoint stated.
    pub scope: Option<String>,
    /// The fingerprint of everything that the token request depended on.
    pub request: String,
}

impl StateRecord {
    /// The record of a login: a refresh token, and a new name by which a running process recognizes the
    /// login.
    pub fn login(refresh_token: Secret) -> Self {
        let login = Some(hex(&std::array::from_fn::<u8, 16, _>(|_| fastrand::u8(..))));
        Self {
            refresh_token: Some(refresh_token),
            login,
            serial: fastrand::u64(..u64::MAX / 2),
            access_token: None,
            generation: None,
        }
    }

    pub(crate) fn to_json(&self) -> ZeroizingBytes {
        let written = Written {
            refresh_token: self.refresh_token.as_ref().map(Secret::expose),
            access_token: self.access_token.as_ref().map(|token| WrittenToken {
                value: token.value.expose(),
                expires: token.expires.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
                lifetime: token.lifetime.as_secs_f64(),
                scope: token.scope.as_deref(),
                request: &token.request,
            }),
            login: self.login.as_deref(),
            serial: self.serial,
            generation: self.generation,
        };
        Zeroizing::new(serde_json::to_vec(&written).expect("strings and numbers are JSON"))
    }

    /// The record in this JSON; `None` if it is not one.
    pub(crate) fn from_json(json: &[u8]) -> Option<Self> {
        let read: Read = serde_json::from_slice(json).ok()?;
        let secret = |text: Zeroizing<String>| Secret::new(text.to_string()).ok();
        let access_token = match read.access_token {
            None => None,
            Some(token) => Some(AccessTokenRecord {
                value: secret(token.value)?,
                expires: UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(token.expires).ok()?)?,
                lifetime: Duration::try_from_secs_f64(token.lifetime).ok()?,
                scope: token.scope,
                request: token.request,
            }),
        };
        let refresh_token = match read.refresh_token {
            None => None,
            Some(token) => Some(secret(token)?),
        };
        let Read { login, serial, generation, .. } = read;
        Some(Self { refresh_token, access_token, login, serial, generation })
    }
}

impl AccessTokenRecord {
    /// The record of a new access token. `request` is the fingerprint of its request.
    pub fn of(issued: &IssuedToken, request: &str) -> Self {
        Self {
            value: issued.value.clone(),
            expires: issued.expiry.wall(),
            lifetime: issued.expiry.lifetime(),
            scope: issued.scope.clone(),
            request: request.to_owned(),
        }
    }

    /// The token as it was issued. A file of an older version may have a later end than the token itself.
    pub fn to_issued(&self) -> IssuedToken {
        let expires = own_end(self.value.expose()).map_or(self.expires, |end| end.min(self.expires));
        IssuedToken {
            value: self.value.clone(),
            expiry: Expiry::until(expires, self.lifetime),
            scope: self.scope.clone(),
        }
    }
}

#[derive(Serialize)]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<WrittenToken<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    serial: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
}

#[derive(Serialize)]
struct WrittenToken<'a> {
    value: &'a str,
    expires: f64,
    lifetime: f64,
    scope: Option<&'a str>,
    request: &'a str,
}

#[derive(Deserialize)]
struct Read {
    refresh_token: Option<Zeroizing<String>>,
    access_token: Option<ReadToken>,
    login: Option<String>,
    serial: u64,
    generation: Option<u64>,
}

#[derive(Deserialize)]
struct ReadToken {
    value: Zeroizing<String>,
    expires: f64,
    lifetime: f64,
    scope: Option<String>,
    request: String,
}
