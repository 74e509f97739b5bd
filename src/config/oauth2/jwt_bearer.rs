//! `grant_type: jwt_bearer`: the signing key and the assertion.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use zeroize::Zeroizing;

use super::caller_tokens::{CALLER_TOKENS, FROM_CALLER};
use super::client_auth;
use crate::config::exposure::Content;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::report::display_path;
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::reader::{duration, secret};
use crate::config::watched_files::FileKind;
use crate::secret::{Algorithm, FileError, SigningKey, begins_with_byte_order_mark, read_file};

/// Default of `assertion_lifetime`: long enough for a slow connection, and accepted by Salesforce.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(180);
/// Longest `assertion_lifetime`: the limit of Google, which is the highest of all providers.
const MAX_LIFETIME: Duration = Duration::from_secs(3600);
/// Largest key file, in bytes.
const MAX_BYTES: usize = 64 * 1024;
/// Claims that Sidekey sets in every assertion.
const OWN_CLAIMS: [&str; 2] = ["iat", "exp"];

/// The settings of an assertion.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JwtBearer {
    /// The signing key.
    pub key: SigningKey,
    /// `kid`: identifies the key among the registered keys.
    pub key_id: Option<String>,
    /// Further fields of the JOSE header.
    pub headers: Map<String, serde_json::Value>,
    /// Claims; if `aud` is not among them, it is the token endpoint.
    pub claims: Map<String, serde_json::Value>,
    /// Time from `iat` to `exp`, in whole seconds.
    pub lifetime: Duration,
}

/// The names of claims without their values, because a value may be secret.
impl fmt::Debug for JwtBearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtBearer")
            .field("key", &self.key)
            .field("key_id", &self.key_id)
            .field("headers", &self.headers.keys())
            .field("claims", &self.claims.keys())
            .field("lifetime", &self.lifetime)
            .finish()
    }
}

/// The key file of a Google service account.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key_id: Option<String>,
    private_key: Zeroizing<String>,
}

/// The kind of a file from Google.
#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

/// Keys that only this grant has.
pub(crate) const KEYS: Keys = &[
    SERVICE_ACCOUNT_FILE,
    CLAIMS,
    ASSERTION_HEADERS,
    ASSERTION_LIFETIME,
    Key::optional("assertion", FROM_CALLER, "The assertion, if it is the token of the caller."),
    CALLER_TOKENS,
];
/// Keys about an assertion that Sidekey signs.
pub(crate) const OF_ASSERTION: Keys = &[SERVICE_ACCOUNT_FILE, CLAIMS, ASSERTION_HEADERS, ASSERTION_LIFETIME];

const SERVICE_ACCOUNT_FILE: Key = Key::optional(
    "service_account_file",
    Format::Text,
    "Key file from Google: the private key, its `kid`, and `iss`.",
);
const CLAIMS: Key = Key::optional("claims", OBJECT, "Claims of the assertion.");
const ASSERTION_HEADERS: Key =
    Key::optional("assertion_headers", OBJECT, "Further fields of the assertion's header.");
const ASSERTION_LIFETIME: Key =
    Key::optional("assertion_lifetime", DURATION, "From `iat` to `exp`, up to 1h.").or("3m");
/// Keys that client authentication has as well: the client may authenticate with the same key.
pub(crate) const SHARED: Keys = &[client_auth::PRIVATE_KEY, client_auth::SIGNING_ALG, client_auth::KEY_ID];

pub(crate) const OBJECT: Format = Format::Names(&Names::of(Format::Json));

/// Reads the keys of the grant.
pub(crate) fn read(mapping: &mut Mapping<'_>) -> Option<JwtBearer> {
    let account = mapping.optional("service_account_file");
    let is_google = mapping.has("service_account_file");
    let key = if is_google { mapping.optional("private_key") } else { mapping.required("private_key") };
    let algorithm = client_auth::algorithm(mapping, &Algorithm::ASYMMETRIC);
    let key_id = client_auth::text(mapping, "key_id");
    let claims = mapping.optional("claims").and_then(|value| object(&value, &OWN_CLAIMS));
    let headers = mapping.optional("assertion_headers").and_then(|value| object(&value, &["alg", "kid"]));
    let lifetime = mapping.optional("assertion_lifetime").and_then(|value| {
        let lifetime = duration::positive(&value)?;
        if lifetime > MAX_LIFETIME || lifetime.subsec_nanos() > 0 {
            value.error("the lifetime of an assertion is a number of whole seconds, at most `1h`");
        }
        Some(lifetime)
    });
    let mut claims = claims.unwrap_or_default();
    let (key, key_id) = match (account, key) {
        (Some(_), Some(key)) => {
            key.error("both `private_key` and `service_account_file` are set; a key has one source");
            return None;
        }
        (Some(value), None) => {
            let account = ServiceAccountKey::with_algorithm(&value, Path::new(value.text()?), algorithm)?;
            claims.entry("iss").or_insert(account.email.into());
            (account.key, key_id.or(account.key_id))
        }
        (None, key) => (secret::signing_key(&key?, algorithm)?, key_id),
    };
    let headers = headers.unwrap_or_default();
    let lifetime = lifetime.unwrap_or(DEFAULT_LIFETIME);
    Some(JwtBearer { key, key_id, headers, claims, lifetime })
}

impl JwtBearer {
    /// Adds claims that follow from other keys of the credential: the issuer, and the scope of a service
    /// account, which Google reads from the assertion only. Reports claims that are missing.
    pub(crate) fn complete(&mut self, mapping: &Mapping<'_>, client_id: &str, scopes: &[String]) {
        if !client_id.is_empty() {
            self.claims.entry("iss").or_insert(client_id.into());
        }
        if mapping.has("service_account_file") && !scopes.is_empty() {
            self.claims.entry("scope").or_insert(scopes.join(" ").into());
        }
        if !self.claims.contains_key("iss") {
            mapping
                .value()
                .error("the issuer of the assertion is missing: set `client_id`, or `iss` under `claims`");
        }
        if !self.claims.contains_key("sub") && !mapping.has("service_account_file") {
            mapping
                .value()
                .error("the subject of the assertion is missing: set `sub` under `claims` (RFC 7523 §3)");
        }
    }
}

/// The key of a Google service account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceAccountKey {
    /// The key.
    pub key: SigningKey,
    /// `kid`
    pub key_id: Option<String>,
    /// The address of the account.
    pub email: String,
}

impl ServiceAccountKey {
    /// Reads the key file at this path, which `value` names or stands for.
    pub fn read(value: &Value<'_>, path: &Path) -> Option<Self> {
        Self::with_algorithm(value, path, None)
    }

    fn with_algorithm(value: &Value<'_>, path: &Path, algorithm: Option<Algorithm>) -> Option<Self> {
        if !value.reads_files() {
            let key = SigningKey::placeholder().map_err(|error| value.error(error.to_string())).ok()?;
            return Some(Self { key, key_id: None, email: "placeholder".into() });
        }
        let account = service_account(value, path)?;
        let key = SigningKey::from_pem(&account.private_key, algorithm)
            .map_err(|error| value.error(format!("`private_key` in the file: {error}")))
            .ok()?;
        Some(Self { key, key_id: account.private_key_id, email: account.client_email })
    }
}

fn service_account(value: &Value<'_>, path: &Path) -> Option<ServiceAccount> {
    value.watch(path, FileKind::Secret);
    value.warn_if_exposed(path, Content::Secret);
    let bytes = read_file(path, MAX_BYTES)
        .map_err(|error| value.error(format!("cannot read the file{}: {error}", display_path(path))))
        .ok()?;
    if begins_with_byte_order_mark(&bytes) {
        value.error(format!("the file{}: {}", display_path(path), FileError::ByteOrderMark));
        return None;
    }
    // The messages repeat nothing of the file, because the file contains the key.
    let is_federation =
        serde_json::from_slice::<Typed>(&bytes).is_ok_and(|file| file.kind == "external_account");
    if is_federation {
        value.error(format!(
            "the file{} is one of workload identity federation: use `type: gcp_external_account`",
            display_path(path)
        ));
        return None;
    }
    serde_json::from_slice(&bytes)
        .map_err(|_| {
            value.error(format!(
                "the file{} is not a service account key: expected a JSON object with `client_email` and `private_key`",
                display_path(path)
            ));
        })
        .ok()
}

/// Reads a mapping as JSON. `written`: names that Sidekey sets itself.
pub(crate) fn object(value: &Value<'_>, written: &[&str]) -> Option<Map<String, serde_json::Value>> {
    let mut object = Map::new();
    for (name, value) in value.entries()? {
        if written.contains(&name) {
            value.error("Sidekey sets this itself");
        } else if let Some(json) = value.json() {
            object.insert(name.to_owned(), json);
        }
    }
    Some(object)
}
