//! Proof of possession (RFC 9449): tokens bound to a key that only Sidekey has, and a signed proof with each request that
//! uses one. Whoever steals such a token cannot use it.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use url::Url;

use super::jws;
use crate::refresh::ClockReading;
use crate::secret::{KeyError, SigningError, SigningKey};

/// The header that has the proof.
pub const PROOF_HEADER: HeaderName = HeaderName::from_static("dpop");
/// The header that has the nonce for the next proof (RFC 9449 §8).
pub const NONCE_HEADER: HeaderName = HeaderName::from_static("dpop-nonce");
/// A longer nonce is somebody's mistake, or an attempt to fill our requests.
const MAX_NONCE: usize = 512;
/// Hosts whose nonce is remembered: the endpoint and the upstreams that share a token.
const MAX_ORIGINS: usize = 256;

/// Makes proofs with one key.
pub struct DpopKey {
    key: SigningKey,
    public: Value,
    /// By origin: each server has nonces of its own (RFC 9449 §8.2).
    nonces: Mutex<HashMap<String, String>>,
}

impl DpopKey {
    /// With the configured key, or one of its own that ends with the process.
    pub(crate) fn new(key: Option<&SigningKey>) -> Result<Self, KeyError> {
        let key = match key {
            Some(key) => key.clone(),
            None => SigningKey::ephemeral()?,
        };
        let public = jws::public_jwk(&key).ok_or(KeyError::NotPem)?;
        Ok(Self { key, public, nonces: Mutex::default() })
    }

    /// The proof for a request without a token: the token request itself.
    pub(crate) fn proof_for_token_request(
        &self,
        method: &str,
        url: &Url,
    ) -> Result<HeaderValue, SigningError> {
        let mut target = url.clone();
        target.set_query(None);
        self.proof(method, target.as_str(), &url.origin().ascii_serialization(), None)
    }

    /// The proof for a request with a token, of which `ath` is the hash. `path` has no query (RFC 9449 §4.2).
    pub(crate) fn proof_for_resource(
        &self,
        method: &str,
        origin: &str,
        path: &str,
        ath: &str,
    ) -> Result<HeaderValue, SigningError> {
        self.proof(method, &format!("{origin}{path}"), origin, Some(ath))
    }

    /// Takes the nonce that a server wants to see next. `true` where it is another than before.
    pub fn record_nonce(&self, origin: &str, nonce: &[u8]) -> bool {
        // NQCHAR, RFC 9449 §8.1.
        let allowed = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if nonce.is_empty() || nonce.len() > MAX_NONCE || !nonce.iter().all(allowed) {
            return false;
        }
        let nonce = String::from_utf8_lossy(nonce).into_owned();
        let mut nonces = self.nonces.lock();
        if nonces.len() >= MAX_ORIGINS && !nonces.contains_key(origin) {
            return false;
        }
        nonces.insert(origin.to_owned(), nonce.clone()) != Some(nonce)
    }

    /// The same from the headers of a token endpoint's answer.
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
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds since 1970")]
        claims.insert("iat".into(), (ClockReading::now().unix_seconds() as u64).into());
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

/// `ath`: the hash of an access token.
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
    fn a_proof_is_for_one_request_and_has_the_nonce_of_its_own_server() {
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
        // `ath` of RFC 9449 §7.1 is made the same way: SHA-256 of the ASCII of the token.
        let ath = access_token_hash("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        assert_eq!(ath, "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
    }

    #[test]
    fn takes_no_nonce_that_could_be_anything_else() {
        let dpop_key = DpopKey::new(None).unwrap();
        for nonce in [&b""[..], b"a b", b"a\"b", b"a\\b", b"\xff", &[b'a'; 513]] {
            assert!(!dpop_key.record_nonce("https://a", nonce));
        }
    }
}
