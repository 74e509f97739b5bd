//! What a provider can demand of a request, and of a token request.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use ring::{digest, hmac};
use serde_json::{Map, Value};

use crate::harness::RecordedRequest;
use crate::suite::credentials::aws_sigv4;

/// A provider: its rules, and sample answers and secrets for its preset.
pub struct Provider {
    /// The preset.
    pub id: &'static str,
    pub answers: &'static [(&'static str, &'static str)],
    pub secrets: &'static [(&'static str, &'static str)],
    /// The host and the target of the request that its preset tests with, as the provider must get it.
    pub host: &'static str,
    pub target: &'static str,
    /// What the request must have.
    pub rules: &'static [Rule],
    /// Where its tokens are issued.
    pub token: Option<TokenEndpoint>,
    /// Where an app of GitHub gets its tokens, at the same host.
    pub app: Option<App>,
    /// The method of the request, if the preset tests with none.
    pub method: &'static str,
    /// Status and body for a request without a good credential.
    pub rejects: (u16, &'static str),
}

/// A rule for a request.
pub enum Rule {
    /// The header field is there once, with this value.
    Field(&'static str, &'static str),
    /// `Authorization` is there once, and is HTTP Basic with this user name, a colon and this password.
    Basic(&'static str),
    /// The header field is there.
    Present(&'static str),
    /// The header field is not there.
    Absent(&'static str),
    /// `X-Signature` is the HMAC with this key over method, path, query, `X-Timestamp` and the hash of the body.
    Hmac(&'static str),
    /// The request is signed by Signature Version 4 of AWS: access key id, secret access key, region and service.
    AwsSignature(&'static str, &'static str, &'static str),
    /// `Authorization` is there once, and is a bearer token that is signed so.
    SignedToken(Signed),
}

/// A token endpoint.
pub struct TokenEndpoint {
    pub host: &'static str,
    pub path: &'static str,
    /// The issuer whose metadata leads here, if the preset looks it up.
    pub issuer: Option<&'static str>,
    /// `ID:SECRET` if the client authenticates with HTTP Basic; otherwise there must be no `Authorization`.
    pub basic: Option<&'static str>,
    /// All parameters, without the signed one.
    pub form: &'static [(&'static str, &'static str)],
    /// The parameter that is signed with the private key.
    pub signed: Option<Signed>,
    /// The response that issues the token.
    pub issues: &'static str,
    /// Status and body if a rule is broken.
    pub rejects: (u16, &'static str),
}

/// An app of GitHub.
pub struct App {
    /// Where its installation is looked up.
    pub lookup: &'static str,
    /// Where a token of the installation is requested.
    pub tokens: &'static str,
    /// The token of the app itself, which both need.
    pub signed: Signed,
    /// The token that is issued.
    pub issues: &'static str,
}

/// The public keys that tokens are verified with.
pub struct PublicKeys {
    /// P-256, as a point.
    pub ec: Vec<u8>,
    /// RSA, as an `RSAPublicKey`.
    pub rsa: Vec<u8>,
}

/// A JWT that is signed with the private key of the tests.
pub struct Signed {
    /// The parameter that has it; empty if it is in a field.
    pub parameter: &'static str,
    /// The longest time from `iat` to `exp`, in seconds; 0 if there must be no `exp`.
    pub max_lifetime: u64,
    pub key_id: Option<&'static str>,
    /// All claims, without `iat`, `exp` and `jti`.
    pub claims: &'static [(&'static str, &'static str)],
}

/// What a token endpoint answers to a client that it does not know (RFC 6749 §5.2).
pub const INVALID_CLIENT: (u16, &str) = (401, r#"{"error":"invalid_client"}"#);

impl Rule {
    /// Says how the request breaks the rule.
    pub fn broken_by(&self, request: &RecordedRequest, keys: &PublicKeys) -> Option<String> {
        let is = |name: &str, expected: &str| {
            let found = request.headers.all(name);
            (found != [expected]).then(|| format!("{name} is {found:?}, not {expected:?}"))
        };
        match self {
            Self::SignedToken(signed) => {
                let all = request.headers.all("authorization");
                match all.as_slice() {
                    [one] => Some(signed.broken_by(one.strip_prefix("Bearer ").unwrap_or_default(), keys))
                        .filter(|why| !why.is_empty()),
                    _ => Some(format!("{} fields Authorization", all.len())),
                }
            }
            &Self::Field(name, value) => is(name, value),
            &Self::Basic(pair) => is("authorization", &format!("Basic {}", BASE64_STANDARD.encode(pair))),
            &Self::Present(name) => request.headers.all(name).is_empty().then(|| format!("no {name}")),
            &Self::Absent(name) => {
                (!request.headers.all(name).is_empty()).then(|| format!("{name} is there"))
            }
            &Self::Hmac(key) => {
                let timestamp = request.headers.first("x-timestamp").unwrap_or_default();
                let digest = hex(digest::digest(&digest::SHA256, &request.body).as_ref());
                let parts =
                    [&request.method, request.path(), request.query().unwrap_or(""), timestamp, &digest];
                let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
                is("x-signature", &hex(hmac::sign(&key, parts.join("\n").as_bytes()).as_ref()))
            }
            &Self::AwsSignature(id, secret, scope) => match aws_sigv4::verify(request, secret) {
                Err(why) => Some(why),
                Ok(signature) => (signature.access_key_id != id || signature.scope != scope)
                    .then(|| format!("signed by {} for {}", signature.access_key_id, signature.scope)),
            },
        }
    }
}

impl App {
    /// Says how a request of the app itself breaks a rule.
    pub fn broken_by(&self, request: &RecordedRequest, keys: &PublicKeys) -> Option<String> {
        let token = request.header("authorization").and_then(|value| value.strip_prefix("Bearer "));
        let why = self.signed.broken_by(token.unwrap_or_default(), keys);
        let is_json =
            request.method == "GET" || serde_json::from_slice::<Map<String, Value>>(&request.body).is_ok();
        let why = if is_json { why } else { format!("no JSON object; {why}") };
        (!why.is_empty()).then_some(why)
    }
}

impl TokenEndpoint {
    /// Says how the token request breaks a rule. `keys` are the public keys of what is signed.
    pub fn broken_by(&self, request: &RecordedRequest, keys: &PublicKeys) -> Option<String> {
        if request.method != "POST" {
            return Some(format!("{} instead of POST", request.method));
        }
        let authorization = match self.basic {
            Some(pair) => Rule::Basic(pair),
            None => Rule::Absent("authorization"),
        };
        let content_type = Rule::Field("content-type", "application/x-www-form-urlencoded");
        let mut form: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
        let signed = self.signed.as_ref().map(|signed| {
            let at = form.iter().position(|(name, _)| name == signed.parameter);
            at.map_or_else(|| "nothing is signed".into(), |at| signed.broken_by(&form.remove(at).1, keys))
        });
        let mut found: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let mut expected = self.form.to_vec();
        found.sort_unstable();
        expected.sort_unstable();
        let form = (found != expected).then(|| format!("the form is {found:?}, not {expected:?}"));
        let rules = [authorization, content_type];
        let mut broken: Vec<_> = rules.iter().filter_map(|rule| rule.broken_by(request, keys)).collect();
        broken.extend(form);
        broken.extend(signed.filter(|signed| !signed.is_empty()));
        (!broken.is_empty()).then(|| broken.join("; "))
    }
}

impl Signed {
    /// Says how a JWT differs; empty if it does not.
    fn broken_by(&self, token: &str, keys: &PublicKeys) -> String {
        let parts: Vec<_> = token.split('.').collect();
        let decoded: Vec<_> =
            parts.iter().filter_map(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok()).collect();
        let ([head, claims, _], [head_json, claims_json, signature]) = (&parts[..], &decoded[..]) else {
            return "no JWT".into();
        };
        let text = format!("{head}.{claims}");
        let head: Map<String, Value> = serde_json::from_slice(head_json).unwrap();
        let is_signed = if head["alg"] == "RS256" {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, &keys.rsa).verify(text.as_bytes(), signature)
        } else {
            UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &keys.ec).verify(text.as_bytes(), signature)
        };
        if is_signed.is_err() {
            return "the signature is wrong".into();
        }
        let mut claims: Map<String, Value> = serde_json::from_slice(claims_json).unwrap();
        let time = |name: &str, claims: &mut Map<String, Value>| claims.remove(name)?.as_u64();
        let (issued, expires) = (time("iat", &mut claims), time("exp", &mut claims));
        let is_identified = claims.remove("jti").is_some();
        if !is_identified && !self.parameter.is_empty() {
            return "an assertion without `jti`".into();
        }
        let lives = issued.zip(expires).and_then(|(issued, expires)| expires.checked_sub(issued));
        let is_endless = self.max_lifetime == 0 && issued.is_some() && expires.is_none();
        if !is_endless && lives.is_none_or(|lives| lives > self.max_lifetime) {
            return format!("it lives for {lives:?} seconds");
        }
        let expected: Map<String, Value> = self
            .claims
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.replace("{key}", &fingerprint(&keys.ec)).into()))
            .collect();
        let key_id = head.get("kid").and_then(Value::as_str);
        if claims == expected && key_id == self.key_id {
            return String::new();
        }
        format!("kid {key_id:?} and claims {claims:?}, not {:?} and {expected:?}", self.key_id)
    }
}

/// The hash of the public key as an X.509 `SubjectPublicKeyInfo` (RFC 5480 §2), in Base64.
fn fingerprint(key: &[u8]) -> String {
    const HEAD: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    BASE64_STANDARD.encode(digest::digest(&digest::SHA256, &[&HEAD, key].concat()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}
