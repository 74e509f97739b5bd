//! The identity of a credential, which a state file belongs to.

use ring::digest;

use crate::config::{Grant, OAuth2};
use crate::secret::hex;

/// The identity of a credential: what stays the same while its tokens and its client secret change.
/// Credentials whose refresh tokens must not be confused have different identities.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Identity(String);

impl Identity {
    /// The identity of a configured credential.
    pub fn of(config: &OAuth2) -> Self {
        let mut parts = Parts(digest::Context::new(&digest::SHA256));
        parts.add("token_url", config.token_url.as_str());
        parts.add("client_id", &config.client_id);
        parts.add("grant", config.grant.as_str());
        for scope in &config.scopes {
            parts.add("scope", scope);
        }
        for (name, value) in &config.request.params {
            parts.add("param", name);
            parts.add("value", value);
        }
        // Whose credential it is: a user, or the first refresh token. Never the client secret, which is
        // rotated.
        match &config.grant {
            Grant::Password(owner) => parts.add("username", &owner.username),
            Grant::RefreshToken(seed) => parts.add("seed", seed.expose()),
            Grant::AuthorizationCode(grant) => {
                for (name, value) in &grant.authorization_params {
                    parts.add("param", name);
                    parts.add("value", value);
                }
            }
            Grant::ClientCredentials
            | Grant::AccountCredentials(_)
            | Grant::DeviceCode(_)
            | Grant::JwtBearer(_)
            | Grant::CallerAssertion(_)
            | Grant::TokenExchange(_) => {}
        }
        Self(hex(parts.0.finish().as_ref()))
    }

    #[cfg(test)]
    pub(in crate::oauth2) fn for_test(name: &str) -> Self {
        Self(hex(digest::digest(&digest::SHA256, name.as_bytes()).as_ref()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name of the state file: half of the hash, in hexadecimal.
    pub(crate) fn file_name(&self) -> &str {
        &self.0[..32]
    }
}

struct Parts(digest::Context);

impl Parts {
    /// Adds a part with its length, so that different lists of parts have different hashes.
    fn add(&mut self, name: &str, value: &str) {
        for part in [name, value] {
            self.0.update(&(part.len() as u64).to_be_bytes());
            self.0.update(part.as_bytes());
        }
    }
}
