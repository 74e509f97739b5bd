//! AWS's own vectors (`tests/data/aws-signing-test-suite`, Apache-2.0).

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::canonical::{CanonicalRequest, SignedHeaders};
use super::path::PathRule;
use super::signature::{Signing, SigningKey, scope};
use super::time::Timestamp;
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

    /// Compares with the files of this kind: `header` or `query`.
    fn check(&self, kind: &str, signing: &Signing<'_>, request: &CanonicalRequest<'_>) {
        let name = self.folder.display();
        let canonical = String::from_utf8(request.text()).unwrap();
        assert_eq!(canonical, self.expected(&format!("{kind}-canonical-request.txt")), "{name}");
        let string = signing.string_to_sign(request);
        assert_eq!(string, self.expected(&format!("{kind}-string-to-sign.txt")), "{name}");
        assert_eq!(signing.signature(request), self.expected(&format!("{kind}-signature.txt")), "{name}");
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
        let scope = scope(&timestamp, region, service);
        let access_key_id = case.text("/credentials/access_key_id");
        let signing = Signing { access_key_id, timestamp: &timestamp, scope: &scope, key: &key };

        let payload = case.payload();
        let mut fields = case.fields();
        fields.push(("X-Amz-Date", timestamp.as_str().as_bytes()));
        if case.is("sign_body") {
            fields.push(("x-amz-content-sha256", payload.as_bytes()));
        }
        fields.extend(case.token().map(|token| ("X-Amz-Security-Token", token.as_bytes())));
        let headers = SignedHeaders::new(fields);
        let request = case.request(&headers, &[], &payload);
        case.check("header", &signing, &request);
        let line = format!("Authorization:{}\n", signing.authorization(&request));
        assert!(case.expected("header-signed-request.txt").contains(&line), "{}", case.folder.display());

        let headers = SignedHeaders::new(case.fields());
        let parameters = signing.parameters(&headers, 3600);
        let mut parameters: Vec<_> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        parameters.extend(case.token().map(|token| ("X-Amz-Security-Token", token)));
        case.check("query", &signing, &case.request(&headers, &parameters, &payload));
    }
}
