//! Answers of the API, and what their errors mean.

use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::oauth2::sanitize;
use crate::secret::{Echoes, Secret, SourceError};

/// The answer to reading a secret, or to renewing a lease.
#[derive(Deserialize)]
pub(super) struct ReadAnswer<'a> {
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(default)]
    pub(super) lease_id: String,
    /// In seconds.
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// The answer to a login, or to renewing a token.
#[derive(Deserialize)]
pub(super) struct LoginAnswer {
    pub(super) auth: Option<IssuedToken>,
}

/// A token that a login, or a renewal, gives.
#[derive(Deserialize)]
pub(super) struct IssuedToken {
    #[serde(default)]
    pub(super) client_token: Zeroizing<String>,
    /// In seconds; 0 if it does not end.
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// What the store says of a token.
#[derive(Deserialize)]
pub(super) struct LookupAnswer {
    pub(super) data: TokenFacts,
}

#[derive(Deserialize)]
pub(super) struct TokenFacts {
    /// In seconds; 0 if it does not end.
    #[serde(default)]
    pub(super) ttl: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// What the key-value engine of version 2 has around a secret.
#[derive(Deserialize)]
pub(super) struct Versioned<'a> {
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    pub(super) metadata: Metadata,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) version: u64,
}

/// Where a path is mounted.
#[derive(Deserialize)]
pub(super) struct MountAnswer {
    pub(super) data: MountFacts,
}

#[derive(Deserialize)]
pub(super) struct MountFacts {
    /// The path of the mount, with a slash at its end.
    pub(super) path: String,
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) options: Option<MountOptions>,
}

#[derive(Deserialize)]
pub(super) struct MountOptions {
    #[serde(default)]
    pub(super) version: Option<String>,
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

/// What the store says of an error, as far as it is fit for a message; empty if it says nothing.
fn stated(body: &[u8], secrets: &[&Secret]) -> String {
    let errors = serde_json::from_slice::<Errors>(body).map(|answer| answer.errors).unwrap_or_default();
    let mut text = errors.join("; ").into_bytes();
    Echoes::of(secrets.iter().map(|secret| secret.expose())).mask(&mut text);
    let text = String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ");
    let text = sanitize(&text);
    if text.is_empty() { text } else { format!(": {text}") }
}

/// The text of an error: who answered what.
pub(super) fn text(who: &str, status: u16, body: &[u8], secrets: &[&Secret]) -> String {
    let why = match status {
        300..=399 => {
            ", a redirect, which is never followed: this node is a standby that sends clients to another host. `url` must lead to \
             the active node, or to a load balancer in front of it"
        }
        503 if stated(body, &[]).contains("sealed") => ": it is sealed",
        _ => return format!("{who} answered {status}{}", stated(body, secrets)),
    };
    format!("{who} answered {status}{why}")
}

/// The error of an answer that is not the one that was expected.
pub(super) fn malformed(who: &str, what: &str) -> SourceError {
    SourceError::new(format!("{who}: the answer {what}; is `url` that of the store?"))
}
