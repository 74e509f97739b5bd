//! Compact JWS (RFC 7515 §3.1) with a JSON payload, for client assertions, authorization grants and DPoP
//! proofs. Sidekey only signs; it verifies no JWS of others.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use crate::refresh::ClockReading;
use crate::secret::{PublicKey, SigningError, SigningKey};

/// Signs `claims`. `header` may have any field except `alg`, which the key determines.
pub(crate) fn sign(
    key: &SigningKey,
    header: &[(&str, Value)],
    claims: &Map<String, Value>,
) -> Result<Zeroizing<String>, SigningError> {
    let mut fields = Map::new();
    fields.insert("alg".into(), key.algorithm().as_str().into());
    fields.extend(header.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    let part = |object: &Map<String, Value>| {
        let json = Zeroizing::new(serde_json::to_vec(object).expect("an object of strings and numbers"));
        base64url(&json)
    };
    let signed = Zeroizing::new(format!("{}.{}", part(&fields), part(claims)));
    let signature = key.sign(signed.as_bytes())?;
    Ok(Zeroizing::new(format!("{}.{}", *signed, base64url(&signature))))
}

/// Maximum time by which `iat` lies in the past.
const MAX_BACKDATING: Duration = Duration::from_secs(60);

/// `iat` of a JWT that is valid for `lifetime`: a quarter of that ago, a minute at most. A server whose clock
/// is behind would reject a time in its future (RFC 7523 §3 leaves the leeway to it), and one whose clock is
/// ahead has to find three quarters left.
pub(crate) fn issued_at(now: ClockReading, lifetime: Duration) -> u64 {
    issued_before(now, (lifetime / 4).min(MAX_BACKDATING))
}

/// `iat` of a JWT that is dated back by `backdate`, in whole seconds.
pub(crate) fn issued_before(now: ClockReading, backdate: Duration) -> u64 {
    let seconds = now.unix_seconds() - backdate.as_secs_f64();
    Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs()
}

/// A unique value for `jti`: 128 random bits.
pub(crate) fn random_id() -> Result<String, SigningError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SigningError)?;
    Ok(base64url(&bytes))
}

/// The SHA-256 of a text in Base64url: `ath` of a DPoP proof, S256 of PKCE, `x5t#S256` of a certificate.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    base64url(digest::digest(&digest::SHA256, bytes).as_ref())
}

/// The public key as a JWK with only the required fields, so that a thumbprint of it can be computed (RFC
/// 7638 §3.2); `None` for a shared secret.
pub(crate) fn public_jwk(key: &SigningKey) -> Option<Value> {
    Some(match key.public()? {
        PublicKey::Rsa { modulus, exponent } => {
            json!({ "kty": "RSA", "n": base64url(&modulus), "e": base64url(&exponent) })
        }
        PublicKey::Ec { curve, x, y } => {
            json!({ "kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y) })
        }
        PublicKey::Ed25519(x) => json!({ "kty": "OKP", "crv": "Ed25519", "x": base64url(x) }),
    })
}

/// Base64url without padding (RFC 7515 §2).
pub(crate) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Algorithm, Secret};
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn claims() -> Map<String, Value> {
        let Value::Object(claims) = json!({ "iss": "me", "exp": 1_767_225_600, "é": ["a", 1] }) else {
            unreachable!("an object")
        };
        claims
    }

    fn openssl(arguments: &str) -> String {
        let output = Command::new("openssl").args(arguments.split(' ')).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The header and payload of each token, as verified by `jose`, an independent JWS library.
    fn verified_by_jose(tokens: &[(String, Value)]) -> Vec<Value> {
        let script = "
            import { compactVerify, importJWK } from 'jose';
            const out = [];
            for (const [token, jwk] of JSON.parse(await new Response(process.stdin).text())) {
              const alg = JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).alg;
              const { payload, protectedHeader } = await compactVerify(token, await importJWK(jwk, alg));
              out.push([protectedHeader, JSON.parse(new TextDecoder().decode(payload))]);
            }
            console.log(JSON.stringify(out));";
        let mut node = Command::new("node")
            .args(["--input-type=module", "-e", script])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("node is installed; see scripts/test-deps");
        let input = serde_json::to_vec(tokens).unwrap();
        node.stdin.take().unwrap().write_all(&input).unwrap();
        let output = node.wait_with_output().unwrap();
        assert!(output.status.success(), "jose rejects a token");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn issued_at_is_a_quarter_of_the_lifetime_ago() {
        let now = ClockReading::now();
        for (lifetime, ago) in [(0, 0), (60, 15), (180, 45), (3600, 60)] {
            let issued = issued_at(now, Duration::from_secs(lifetime));
            let expected = Duration::from_secs_f64(now.unix_seconds()).as_secs() - ago;
            assert_eq!(issued, expected, "{lifetime} s");
        }
    }

    #[test]
    fn jws_of_every_algorithm_is_verified_by_jose() {
        let rsa = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048");
        let secret = Secret::new("a shared secret of sixty-four characters, as HS512 would have it.".into());
        let secret = secret.unwrap();
        let mut keys = Vec::new();
        for algorithm in Algorithm::ASYMMETRIC {
            let pem = match algorithm {
                Algorithm::Es256 => openssl("ecparam -genkey -noout -name prime256v1"),
                Algorithm::Es384 => openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384"),
                Algorithm::EdDsa => openssl("genpkey -algorithm ED25519"),
                _ => rsa.clone(),
            };
            let key = SigningKey::from_pem(&pem, Some(algorithm)).unwrap();
            let jwk = public_jwk(&key).unwrap();
            keys.push((key, jwk));
        }
        for algorithm in Algorithm::SYMMETRIC {
            let jwk = json!({ "kty": "oct", "k": base64url(secret.expose().as_bytes()) });
            keys.push((SigningKey::shared(&secret, algorithm), jwk));
        }
        let header = [("kid", json!("key-1")), ("typ", json!("JWT"))];
        let tokens: Vec<_> = keys
            .iter()
            .map(|(key, jwk)| (sign(key, &header, &claims()).unwrap().to_string(), jwk.clone()))
            .collect();
        for ((key, _), read) in keys.iter().zip(verified_by_jose(&tokens)) {
            let alg = key.algorithm().as_str();
            assert_eq!(read, json!([{ "alg": alg, "kid": "key-1", "typ": "JWT" }, claims()]));
        }
    }
}
