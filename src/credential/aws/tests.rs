//! AWS's own vectors (`tests/data/aws-signing-test-suite`, Apache-2.0).

use std::fs;
use std::path::{Path, PathBuf};

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use serde_json::Value;

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::path::PathRule;
use super::signature::{Signing, SigningKey, scope};
use super::time::Timestamp;
use super::v4a::KeyPair;
use crate::secret::hex;

/// A case of the suite.
struct Case {
    folder: PathBuf,
    context: Value,
    method: String,
    path: String,
    query: String,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("request.txt")).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let (first, rest) = head.split_once('\n').unwrap();
        let (method, target) = first.split_once(' ').unwrap();
        let target = target.rsplit_once(' ').unwrap().0;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut fields: Vec<(String, Vec<u8>)> = Vec::new();
        for line in rest.lines() {
            match line.split_once(':') {
                Some((name, value)) if !line.starts_with(' ') => {
                    fields.push((name.to_owned(), value.as_bytes().to_vec()));
                }
                // Folded lines, which HTTP has no longer (RFC 9112 §5.2).
                _ => fields.last_mut().unwrap().1.extend_from_slice(line.as_bytes()),
            }
        }
        let context = fs::read_to_string(folder.join("context.json")).unwrap();
        Self {
            folder: folder.to_owned(),
            context: serde_json::from_str(&context).unwrap(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            fields,
            body: body.as_bytes().to_vec(),
        }
    }

    fn text(&self, key: &str) -> &str {
        self.context.pointer(key).and_then(Value::as_str).unwrap_or_default()
    }

    fn is(&self, key: &str) -> bool {
        self.context[key] == true
    }

    /// The session token, if it is signed.
    fn token(&self) -> Option<&str> {
        Some(self.text("/credentials/token"))
            .filter(|token| !token.is_empty() && !self.is("omit_session_token"))
    }

    fn timestamp(&self) -> Timestamp {
        let time = self.text("/timestamp").parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        Timestamp::at(time.timestamp())
    }

    fn payload(&self) -> String {
        hex(ring::digest::digest(&ring::digest::SHA256, &self.body).as_ref())
    }

    fn fields(&self) -> Vec<(&str, &[u8])> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect()
    }

    fn request<'a>(
        &'a self,
        headers: &'a SignedHeaders<'a>,
        query_of_signature: &'a [(&'a str, &'a str)],
        payload: &'a str,
    ) -> CanonicalRequest<'a> {
        CanonicalRequest {
            method: &self.method,
            path_rule: PathRule { is_decoded: false, is_normalized: self.is("normalize") },
            path: &self.path,
            query: &self.query,
            query_of_signature,
            headers,
            payload,
        }
    }

    fn expected(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap()
    }

    /// Whether the suite has what is expected. Two cases of version 4a have a request alone.
    fn is_complete(&self) -> bool {
        self.folder.join("header-signature.txt").exists()
    }

    /// Compares with the files of this kind: `header` or `query`. Returns the signature.
    fn check(&self, kind: &str, signing: &Signing<'_>, request: &CanonicalRequest<'_>) -> String {
        let name = self.folder.display();
        if !self.is_complete() {
            return signing.signature(request).unwrap();
        }
        let canonical = String::from_utf8(request.text()).unwrap();
        assert_eq!(canonical, self.expected(&format!("{kind}-canonical-request.txt")), "{name}");
        let string = signing.string_to_sign(request);
        assert_eq!(string, self.expected(&format!("{kind}-string-to-sign.txt")), "{name}");
        signing.signature(request).unwrap()
    }
}

fn cases(version: &str) -> Vec<Case> {
    let suite = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/aws-signing-test-suite").join(version);
    let folders = fs::read_dir(&suite).unwrap().map(|entry| entry.unwrap().path());
    folders.map(|folder| Case::read(&folder)).collect()
}

#[test]
fn v4_suite_is_signed_in_header_and_query_as_expected() {
    let cases = cases("v4");
    assert_eq!(cases.len(), 38);
    for case in &cases {
        let timestamp = case.timestamp();
        let (region, service) = (case.text("/region"), case.text("/service"));
        let secret = case.text("/credentials/secret_access_key");
        let key = SigningKey::derive(secret, timestamp.date(), region, service);
        let scope = scope(&timestamp, Some(region), service);
        let name = case.folder.display();
        case.sign(&timestamp, &scope, &key, None, &|kind, signature, authorization| {
            assert_eq!(signature, case.expected(&format!("{kind}-signature.txt")), "{name}");
            if let Some(authorization) = authorization {
                let line = format!("Authorization:{authorization}\n");
                assert!(case.expected("header-signed-request.txt").contains(&line), "{name}");
            }
        });
    }
}

#[test]
fn v4a_suite_is_signed_by_the_expected_key() {
    let cases = cases("v4a");
    assert_eq!(cases.len(), 40);
    let mut incomplete = 0;
    for case in &cases {
        let timestamp = case.timestamp();
        let (region, service) = (case.text("/region"), case.text("/service"));
        let secret = case.text("/credentials/secret_access_key");
        let pair = KeyPair::derive(case.text("/credentials/access_key_id"), secret).unwrap();
        let own = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().to_vec());
        let key = SigningKey::V4a(Box::new(pair));
        let scope = scope(&timestamp, None, service);
        let name = case.folder.display();
        if !case.is_complete() {
            incomplete += 1;
            case.sign(&timestamp, &scope, &key, Some(region), &|_, signature, _| {
                assert!(own.verify(b"another text", &bytes(signature)).is_err(), "{name}");
            });
            continue;
        }
        let public: Value = serde_json::from_str(&case.expected("public-key.json")).unwrap();
        let expected = format!("04{}{}", public["X"].as_str().unwrap(), public["Y"].as_str().unwrap());
        assert_eq!(hex(own.as_ref()), expected);
        case.sign(&timestamp, &scope, &key, Some(region), &|kind, signature, _| {
            let string = case.expected(&format!("{kind}-string-to-sign.txt"));
            let published = case.expected(&format!("{kind}-signature.txt"));
            // Each signature is another one: it is verified, not compared.
            for signature in [signature, published.trim()] {
                own.verify(string.as_bytes(), &bytes(signature)).unwrap_or_else(|_| panic!("{name}"));
            }
        });
    }
    assert_eq!(incomplete, 2);
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

impl Case {
    /// Signs the case in both places, compares the steps, and passes each signature to `check`, with the value of
    /// `Authorization` if it is in the header.
    fn sign(
        &self,
        timestamp: &Timestamp,
        scope: &str,
        key: &SigningKey,
        region_set: Option<&str>,
        check: &dyn Fn(&str, &str, Option<&str>),
    ) {
        let access_key_id = self.text("/credentials/access_key_id");
        let signing = Signing { access_key_id, timestamp, scope, key };
        let payload = self.payload();
        let mut fields = self.fields();
        fields.push(("X-Amz-Date", timestamp.as_str().as_bytes()));
        if self.is("sign_body") {
            fields.push(("x-amz-content-sha256", payload.as_bytes()));
        }
        fields.extend(self.token().map(|token| ("X-Amz-Security-Token", token.as_bytes())));
        fields.extend(region_set.map(|regions| ("X-Amz-Region-Set", regions.as_bytes())));
        let headers = SignedHeaders::new(fields);
        let request = self.request(&headers, &[], &payload);
        let signature = self.check("header", &signing, &request);
        check("header", &signature, Some(&signing.authorization(&request).unwrap()));

        let headers = SignedHeaders::new(self.fields());
        let parameters = signing.parameters(&headers, 3600);
        let mut parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        parameters.extend(self.token().map(|token| ("X-Amz-Security-Token", token)));
        parameters.extend(region_set.map(|regions| ("X-Amz-Region-Set", regions)));
        let signature = self.check("query", &signing, &self.request(&headers, &parameters, &payload));
        check("query", &signature, None);
    }
}
