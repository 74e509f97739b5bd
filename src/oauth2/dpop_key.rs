//! DPoP (RFC 9449): tokens are bound to a key that only Sidekey has, and each request that uses one has a
//! signed proof. A stolen token is useless without the key.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use url::Url;

use super::jws;
use crate::refresh::ClockReading;
use crate::secret::{KeyError, SigningError, SigningKey};

/// The header field of a proof.
pub const PROOF_HEADER: HeaderName = HeaderName::from_static("dpop");
/// The header field with the nonce for the next proof (RFC 9449 §8).
pub const NONCE_HEADER: HeaderName = HeaderName::from_static("dpop-nonce");
/// Maximum length of a nonce, in bytes. A longer one is an error, or an attempt to inflate requests.
const MAX_NONCE_LENGTH: usize = 512;
/// How long a proof is expected to be accepted: what Keycloak accepts by default, and the least that is known.
const PROOF_LIFETIME: Duration = Duration::from_secs(10);
/// Maximum number of servers whose nonce is kept: the token endpoint, and the upstreams that share a token.
const MAX_ORIGINS: usize = 256;

/// A key that tokens are bound to, with the nonces of the servers that get its proofs.
pub struct DpopKey {
    key: SigningKey,
    public: Value,
    /// The last nonce of each origin: nonces are not shared between servers (RFC 9449 §8.2).
    nonces: Mutex<HashMap<String, String>>,
}

impl DpopKey {
    /// The configured key, or a new one that lives as long as the process.
    pub(crate) fn new(key: Option<&SigningKey>) -> Result<Self, KeyError> {
        let key = match key {
            Some(key) => key.clone(),
            None => SigningKey::ephemeral()?,
        };
        let public = jws::public_jwk(&key).ok_or(KeyError::NotPem)?;
        Ok(Self { key, public, nonces: Mutex::default() })
    }

    /// The proof for a token request, which has no access token yet.
    pub(crate) fn proof_for_token_request(
        &self,
        method: &str,
        url: &Url,
    ) -> Result<HeaderValue, SigningError> {
        let mut target = url.clone();
        target.set_query(None);
        self.proof(method, target.as_str(), &url.origin().ascii_serialization(), None)
    }

    /// The proof for a request with an access token whose hash is `ath`. `path` has no query (RFC 9449 §4.2).
    pub(crate) fn proof_for_resource(
        &self,
        method: &str,
        origin: &str,
        path: &str,
        ath: &str,
    ) -> Result<HeaderValue, SigningError> {
        self.proof(method, &format!("{origin}{path}"), origin, Some(ath))
    }

    /// Records the nonce that a server supplied for the next proof. Returns whether it differs from the last
    /// one; a malformed nonce is ignored.
    pub fn record_nonce(&self, origin: &str, nonce: &[u8]) -> bool {
        // NQCHAR, RFC 9449 §8.1.
        let allowed = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if nonce.is_empty() || nonce.len() > MAX_NONCE_LENGTH || !nonce.iter().all(allowed) {
            return false;
        }
        let nonce = String::from_utf8_lossy(nonce).into_owned();
        let mut nonces = self.nonces.lock();
        if nonces.len() >= MAX_ORIGINS && !nonces.contains_key(origin) {
            return false;
        }
        nonces.insert(origin.to_owned(), nonce.clone()) != Some(nonce)
    }

    /// Records the nonce in the headers of a token endpoint's answer, if there is one.
    pub(crate) fn record_nonce_from(&self, url: &Url, headers: &HeaderMap) -> bool {
        let nonce = headers.get(NONCE_HEADER);
        nonce.is_some_and(|nonce| self.record_nonce(&url.origin().ascii_serialization(), nonce.as_bytes()))
    }

    fn proof(
        &self,
        method: &str,
        url: &str,
        origin: &str,
        ath: Option<&str>,
    ) -> Result<HeaderValue, SigningError> {
        let mut claims = Map::new();
        claims.insert("jti".into(), jws::random_id()?.into());
        claims.insert("htm".into(), method.into());
        claims.insert("htu".into(), url.into());
        claims.insert("iat".into(), jws::issued_at(ClockReading::now(), PROOF_LIFETIME).into());
        if let Some(ath) = ath {
            claims.insert("ath".into(), ath.into());
        }
        if let Some(nonce) = self.nonces.lock().get(origin) {
            claims.insert("nonce".into(), nonce.as_str().into());
        }
        let header = [("typ", json!("dpop+jwt")), ("jwk", self.public.clone())];
        let proof = jws::sign(&self.key, &header, &claims)?;
        let mut value = HeaderValue::from_str(&proof).map_err(|_| SigningError)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The hash of an access token, for `ath` (RFC 9449 §4.2).
pub(crate) fn access_token_hash(token: &str) -> String {
    jws::sha256(token.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn part(proof: &HeaderValue, index: usize) -> Value {
        let part = proof.to_str().unwrap().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn dpop_proof_names_its_request_and_has_its_servers_nonce() {
        let dpop_key = DpopKey::new(None).unwrap();
        let url = Url::parse("https://login.example/token?tenant=a").unwrap();
        assert!(
            dpop_key.record_nonce("https://login.example", b"n-1")
                && !dpop_key.record_nonce("https://login.example", b"n-1")
        );
        let proof = dpop_key.proof_for_token_request("POST", &url).unwrap();
        assert!(proof.is_sensitive());
        let (header, claims) = (part(&proof, 0), part(&proof, 1));
        assert_eq!((&header["typ"], &header["alg"]), (&json!("dpop+jwt"), &json!("ES256")));
        assert_eq!(header["jwk"].as_object().unwrap().keys().collect::<Vec<_>>(), ["crv", "kty", "x", "y"]);
        assert_eq!((&claims["htm"], &claims["htu"]), (&json!("POST"), &json!("https://login.example/token")));
        assert_eq!((&claims["nonce"], claims.get("ath")), (&json!("n-1"), None));
        let proof = dpop_key
            .proof_for_resource("GET", "https://api.example", "/v2/x", &access_token_hash("token"))
            .unwrap();
        let claims = part(&proof, 1);
        assert_eq!((&claims["htu"], claims.get("nonce")), (&json!("https://api.example/v2/x"), None));
        // `ath` of the example in RFC 9449 §7.1: SHA-256 of the token in ASCII.
        let ath = access_token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        assert_eq!(ath, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    }

    #[test]
    fn dpop_key_ignores_malformed_nonces() {
        let dpop_key = DpopKey::new(None).unwrap();
        for nonce in [&b""[..], b"a b", b"a\"b", b"a\\b", b"\xff", &[b'a'; 513]] {
            assert!(!dpop_key.record_nonce("https://a", nonce));
        }
    }
}
