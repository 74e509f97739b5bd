//! The property of callers' tokens: a token is accepted exactly if a plain reading of header, claims and keys says so and the
//! issuer has signed it, and no change of it is.
//!
//! An input is the header of a token, a line feed, its claims, a line feed, and the keys of its issuer. The token is signed with
//! an Ed25519 key, whose public part replaces `KEY` in the keys.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Map, Value};
use url::Url;

use crate::callers::fuzzing::TokenCallers;
use crate::config::{JwksSource, JwksUrl, JwtIdentity, Tls};

const ISSUER: &str = "https://issuer.example";
const AUDIENCE: &str = "sidekey";
/// What the claims of the callers are besides.
const CLAIMS: [&[(&str, &str)]; 2] = [&[("sub", "app")], &[("sub", "batch"), ("groups", "night")]];
const LEEWAY: f64 = 30.0;
/// A time so close to a limit may be before or after it.
const NEAR: f64 = 5.0;

/// Checks the property on a token and keys.
pub fn caller_token(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (header, claims, keys) = (part(), part(), String::from_utf8_lossy(part()).into_owned());
    let (issuer, stranger) = (signer(1), signer(2));
    let public = URL_SAFE_NO_PAD.encode(issuer.public_key().as_ref());
    let keys = keys.replace("KEY", &public);
    let callers = TokenCallers::new(&identities(), keys.as_bytes());
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let token = |signed: &str, signature: &[u8]| format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    let signature = issuer.sign(signed.as_bytes()).as_ref().to_vec();
    let genuine = token(&signed, &signature);
    let found = callers.find(genuine.as_bytes());
    if let Some(expected) = expected(header, claims, &keys, &public) {
        assert_eq!(found.ok(), expected, "another caller than the plain reading finds");
    }
    assert_eq!(callers.find(genuine.as_bytes()), found, "another caller for a token that is known");
    // The input as a token: nobody but the issuer can sign one.
    assert!(callers.find(input).is_err(), "a token out of nowhere");
    let refused = |token: String, what: &str| {
        assert!(callers.find(token.as_bytes()).is_err(), "{what} is accepted: {token}");
    };
    refused(token(&signed, stranger.sign(signed.as_bytes()).as_ref()), "the signature of a stranger");
    refused(format!("{signed}."), "no signature");
    refused(format!("{genuine}="), "padding");
    refused(format!("{genuine}."), "a fourth part");
    for at in [0, 31, 32, 63] {
        let mut changed = signature.clone();
        changed[at] ^= 1;
        refused(token(&signed, &changed), "a changed signature");
    }
    // The same JSON in other bytes, and another role of the parts.
    let other = [header, b" "].concat();
    let other = format!("{}.{}", URL_SAFE_NO_PAD.encode(other), URL_SAFE_NO_PAD.encode(claims));
    refused(token(&other, &signature), "another header");
    let other = [claims, b" "].concat();
    let other = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(other));
    refused(token(&other, &signature), "other claims");
}

fn signer(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("a seed of 32 bytes")
}

fn identities() -> [JwtIdentity; 2] {
    CLAIMS.map(|claims| JwtIdentity {
        issuer: ISSUER.into(),
        audience: AUDIENCE.into(),
        claims: claims.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect(),
        keys: JwksSource::Url(JwksUrl {
            url: Url::parse("https://issuer.example/keys").expect("a URL"),
            token: None,
            tls: Tls::default(),
        }),
        leeway: Duration::from_secs_f64(LEEWAY),
    })
}

/// The position of the caller, by a plain reading of RFC 7519 and RFC 7517. `None` if that depends on the second.
#[expect(clippy::option_option, reason = "no caller, and none that is known")]
fn expected(header: &[u8], claims: &[u8], keys: &str, public: &str) -> Option<Option<usize>> {
    let object = |bytes: &[u8]| serde_json::from_slice::<Map<String, Value>>(bytes).ok();
    let (Some(header), Some(claims)) = (object(header), object(claims)) else { return Some(None) };
    if !is_header(&header) || !is_signed_by(&header, keys, public) {
        return Some(None);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock that is set").as_secs_f64();
    let time = |name: &str| claims.get(name).map(Value::as_f64);
    let is_near = |time: Option<Option<f64>>| {
        time.flatten().is_some_and(|time| ((time - now).abs() - LEEWAY).abs() < NEAR)
    };
    if is_near(time("exp")) || is_near(time("nbf")) {
        return None;
    }
    let is_now = matches!(time("exp"), Some(Some(end)) if end > now - LEEWAY)
        && matches!(time("nbf"), None | Some(Some(..)))
        && time("nbf").flatten().is_none_or(|start| start < now + LEEWAY);
    let has = |name: &str, text: &str| match &claims.get(name) {
        Some(Value::String(claim)) => claim == text,
        Some(Value::Array(all)) => all.contains(&Value::from(text)),
        _ => false,
    };
    let is_ours = claims.get("iss") == Some(&Value::from(ISSUER)) && has("aud", AUDIENCE);
    let is_of = |own: &&[(&str, &str)]| own.iter().all(|(name, text)| has(name, text));
    Some(CLAIMS.iter().position(is_of).filter(|_| is_now && is_ours))
}

fn is_header(header: &Map<String, Value>) -> bool {
    let types = ["jwt", "at+jwt", "application/jwt", "application/at+jwt"];
    let is_type = |kind: &Value| kind.as_str().is_some_and(|kind| types.contains(&&*kind.to_lowercase()));
    header.get("alg") == Some(&Value::from("EdDSA"))
        && !header.contains_key("crit")
        && header.get("typ").is_none_or(is_type)
        && header.get("kid").is_none_or(Value::is_string)
}

/// Whether exactly one key of the set may be meant, and it is the issuer's.
fn is_signed_by(header: &Map<String, Value>, keys: &str, public: &str) -> bool {
    let keys: Value = serde_json::from_str(keys).unwrap_or_default();
    let Some(keys) = keys.get("keys").and_then(Value::as_array).filter(|keys| keys.len() <= 100) else {
        return false;
    };
    let text = |key: &Value, name: &str| key.get(name).and_then(Value::as_str).map(str::to_owned);
    let is_or_absent = |key: &Value, name: &str, value: &str| match key.get(name) {
        None => true,
        Some(found) => found == value,
    };
    let may_be_meant = |key: &&Value| {
        let is_for_verifying = key
            .get("key_ops")
            .is_none_or(|uses| uses.as_array().is_some_and(|uses| uses.contains(&Value::from("verify"))));
        let has_point = text(key, "x")
            .and_then(|x| URL_SAFE_NO_PAD.decode(x).ok())
            .is_some_and(|point| point.len() == 32);
        let name = key.get("kid");
        text(key, "kty").as_deref() == Some("OKP")
            && text(key, "crv").as_deref() == Some("Ed25519")
            && has_point
            && is_for_verifying
            && is_or_absent(key, "use", "sig")
            && is_or_absent(key, "alg", "EdDSA")
            && name.is_none_or(Value::is_string)
            && header.get("kid").is_none_or(|wanted| name == Some(wanted))
    };
    let candidates: Vec<_> = keys.iter().filter(may_be_meant).collect();
    matches!(candidates[..], [key] if text(key, "x").as_deref() == Some(public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callers::Refusal;

    /// The property would hold of a reader that refuses everything: some seeds are accepted.
    #[test]
    fn genuine_token_is_accepted() {
        let public = URL_SAFE_NO_PAD.encode(signer(1).public_key().as_ref());
        let keys = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{public}","kid":"a"}}]}}"#);
        let callers = TokenCallers::new(&identities(), keys.as_bytes());
        let token = |header: &str, claims: &str| {
            let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
            let signature = signer(1).sign(signed.as_bytes());
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
        };
        let header = r#"{"alg":"EdDSA","kid":"a"}"#;
        let claims = r#"{"iss":"https://issuer.example","aud":"sidekey","exp":9999999999,"sub":"batch","groups":["night"]}"#;
        assert_eq!(callers.find(token(header, claims).as_bytes()), Ok(1));
        assert_eq!(expected(header.as_bytes(), claims.as_bytes(), &keys, &public), Some(Some(1)));
        let other = r#"{"alg":"EdDSA","kid":"b"}"#;
        assert_eq!(callers.find(token(other, claims).as_bytes()), Err(Refusal::TokenUnknownKey));
    }
}
