//! `grant_type: jwt_bearer`: the key, and what is signed with it.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Map;
use zeroize::Zeroizing;

use super::client_auth;
use crate::config::reader::report::{display_path, io_error_text};
use crate::config::reader::value::{Mapping, Value};
use crate::config::reader::{duration, secret};
use crate::config::watched_files::FileKind;
use crate::secret::{Algorithm, SigningKey};

/// Long enough for a slow connection, and no longer than Salesforce takes.
const LIFETIME: Duration = Duration::from_secs(180);
/// The most that Google takes, who takes the most.
const LONGEST: Duration = Duration::from_secs(3600);
/// No key file is larger.
const MAX_BYTES: u64 = 64 * 1024;
/// Claims that are new in every assertion.
const WRITTEN: [&str; 2] = ["iat", "exp"];

/// What an assertion is made of.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct JwtBearer {
    /// Signs.
    pub key: SigningKey,
    /// `kid`: which of the registered keys it is.
    pub key_id: Option<String>,
    /// Further fields of the JOSE header.
    pub headers: Map<String, serde_json::Value>,
    /// Claims; `aud` is the token endpoint where it is not among them.
    pub claims: Map<String, serde_json::Value>,
    /// From `iat` to `exp`, in whole seconds.
    pub lifetime: Duration,
}

/// Names of claims, not what they say: nobody knows what is secret in there.
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

/// The key file that Google gives for a service account.
#[derive(Deserialize)]
struct ServiceAccount {
    client_email: String,
    private_key_id: Option<String>,
    private_key: Zeroizing<String>,
}

pub(crate) const KEYS: [&str; 4] =
    ["service_account_file", "claims", "assertion_headers", "assertion_lifetime"];
/// The client may prove itself with the same key.
pub(crate) const SHARED: [&str; 3] = ["private_key", "signing_alg", "key_id"];

pub(crate) fn read(mapping: &mut Mapping<'_>) -> Option<JwtBearer> {
    let account = mapping.optional("service_account_file");
    let is_google = mapping.has("service_account_file");
    let key = if is_google { mapping.optional("private_key") } else { mapping.required("private_key") };
    let algorithm = client_auth::algorithm(mapping, &Algorithm::ASYMMETRIC);
    let key_id = client_auth::text(mapping, "key_id");
    let claims = mapping.optional("claims").and_then(|value| object(&value, &WRITTEN));
    let headers = mapping.optional("assertion_headers").and_then(|value| object(&value, &["alg", "kid"]));
    let lifetime = mapping.optional("assertion_lifetime").and_then(|value| {
        let lifetime = duration::positive(&value)?;
        if lifetime > LONGEST || lifetime.subsec_nanos() > 0 {
            value.error("an assertion lives for whole seconds, up to `1h`");
        }
        Some(lifetime)
    });
    let mut claims = claims.unwrap_or_default();
    let (key, key_id) = match (account, key) {
        (Some(_), Some(key)) => {
            key.error("both `private_key` and `service_account_file`; a key is read from one place");
            return None;
        }
        (Some(value), None) => {
            let account = service_account(&value)?;
            let key = SigningKey::from_pem(&account.private_key, algorithm)
                .map_err(|error| value.error(format!("its `private_key`: {error}")))
                .ok()?;
            claims.entry("iss").or_insert(account.client_email.into());
            (key, key_id.or(account.private_key_id))
        }
        (None, key) => (secret::signing_key(&key?, algorithm)?, key_id),
    };
    let headers = headers.unwrap_or_default();
    let lifetime = lifetime.unwrap_or(LIFETIME);
    Some(JwtBearer { key, key_id, headers, claims, lifetime })
}

impl JwtBearer {
    /// Works in what other keys of the credential say: who asks, and the scope of a service account, which Google reads in
    /// the assertion alone. What is missing is a mistake.
    pub(crate) fn complete(&mut self, mapping: &Mapping<'_>, client_id: &str, scopes: &[String]) {
        if !client_id.is_empty() {
            self.claims.entry("iss").or_insert(client_id.into());
        }
        if mapping.has("service_account_file") && !scopes.is_empty() {
            self.claims.entry("scope").or_insert(scopes.join(" ").into());
        }
        if !self.claims.contains_key("iss") {
            mapping.value().error("nothing says who signs: give `client_id`, or `iss` among the `claims`");
        }
        if !self.claims.contains_key("sub") && !mapping.has("service_account_file") {
            mapping
                .value()
                .error("nothing says whom the token is for: give `sub` among the `claims` (RFC 7523 §3)");
        }
    }
}

fn service_account(value: &Value<'_>) -> Option<ServiceAccount> {
    let path = value.text()?;
    let path = Path::new(path);
    value.watch(path, FileKind::Secret);
    let read = || -> std::io::Result<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(Vec::new());
        std::io::Read::read_to_end(
            &mut std::io::Read::take(std::fs::File::open(path)?, MAX_BYTES),
            &mut bytes,
        )?;
        Ok(bytes)
    };
    let bytes = read()
        .map_err(|error| {
            value.error(format!("cannot read the file{}: {}", display_path(path), io_error_text(&error)));
        })
        .ok()?;
    // Nothing of the file is repeated: half of it is the key.
    serde_json::from_slice(&bytes)
        .map_err(|_| {
            value.error(format!(
                "the file{} is no service account key: a JSON object with `client_email` and `private_key`",
                display_path(path)
            ));
        })
        .ok()
}

/// A mapping as JSON, without the names that Sidekey writes.
fn object(value: &Value<'_>, written: &[&str]) -> Option<Map<String, serde_json::Value>> {
    let mut object = Map::new();
    for (name, value) in value.entries()? {
        if written.contains(&name) {
            value.error("Sidekey writes this itself");
        } else if let Some(json) = value.json() {
            object.insert(name.to_owned(), json);
        }
    }
    Some(object)
}
