//! AWS Signature Version 4, as a server verifies it: over the `Host`, the path and the body that it received.

use ring::{digest, hmac};

use crate::harness::RecordedRequest;

/// Whether the signature is that of this request, made with this secret key.
pub fn is_signed(request: &RecordedRequest, secret_key: &str) -> bool {
    let Some(parts) = request.header("authorization").and_then(|it| it.strip_prefix("AWS4-HMAC-SHA256 "))
    else {
        return false;
    };
    let part = |name: &str| {
        let mut all = parts.split(", ").filter_map(|part| part.split_once('='));
        all.find(|(it, _)| *it == name).map(|(_, value)| value).unwrap_or_default()
    };
    let (_, scope) = part("Credential").split_once('/').unwrap();
    let signed = part("SignedHeaders");
    assert!(signed.split(';').any(|name| name == "host"), "{signed}");
    let body = request.header("x-amz-content-sha256").unwrap();
    let canonical = format!(
        "{}\n{}\n{}\n{}\n{signed}\n{body}",
        request.method,
        request.path(),
        request.query().unwrap_or_default(),
        signed.split(';').fold(String::new(), |all, name| {
            all + name + ":" + request.header(name).unwrap_or_default().trim() + "\n"
        }),
    );
    let time = request.header("x-amz-date").unwrap();
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let first = format!("AWS4{secret_key}").into_bytes();
    let key = scope.split('/').fold(first, |key, part| keyed(&key, part));
    let is_body = body.starts_with("STREAMING-") || body == sha256(&request.body);
    is_body && hex(&keyed(&key, &text)) == part("Signature")
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"))
}
