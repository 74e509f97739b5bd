//! AWS Signature Version 4 as a server verifies it, written from AWS's documentation and not from Sidekey's code.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use ring::{digest, hmac};

use crate::harness::RecordedRequest;

const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A signature in a request.
#[derive(Debug)]
pub struct Signature {
    pub access_key_id: String,
    /// `20150830T123600Z`
    pub time: String,
    /// `us-east-1/s3`
    pub scope: String,
    pub signed_headers: Vec<String>,
    pub session_token: Option<String>,
    /// The hash of the body in the canonical request.
    pub payload: String,
}

/// Verifies the signature of a request; `Err` says what the server expected.
pub fn verify(request: &RecordedRequest, secret_access_key: &str) -> Result<Signature, String> {
    let query = request.query().unwrap_or_default();
    let mut parameters: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
            (decoded(name), decoded(value))
        })
        .collect();
    let parameter = |name: &str| {
        parameters.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let is_in_query = !parameter("X-Amz-Signature").is_empty();
    let (credential, names, signature, time, token) = if is_in_query {
        (
            parameter("X-Amz-Credential"),
            parameter("X-Amz-SignedHeaders"),
            parameter("X-Amz-Signature"),
            parameter("X-Amz-Date"),
            Some(parameter("X-Amz-Security-Token")).filter(|token| !token.is_empty()),
        )
    } else {
        let header = request.header("authorization").ok_or("no Authorization")?;
        let header = header.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another algorithm")?;
        let part = |name: &str| {
            let mut parts = header.split(", ").filter_map(|part| part.split_once('='));
            parts.find(|(it, _)| *it == name).map(|(_, value)| value.to_owned()).unwrap_or_default()
        };
        (
            part("Credential"),
            part("SignedHeaders"),
            part("Signature"),
            request.header("x-amz-date").ok_or("no X-Amz-Date")?.to_owned(),
            request.header("x-amz-security-token").map(str::to_owned),
        )
    };
    let parts: Vec<&str> = credential.split('/').collect();
    let [access_key_id, date, region, service, "aws4_request"] = parts[..] else {
        return Err(format!("the credential is {credential}"));
    };
    parameters.retain(|(name, _)| name != "X-Amz-Signature");
    let encoded = |text: &str| utf8_percent_encode(text, UNRESERVED).to_string();
    let mut pairs: Vec<_> =
        parameters.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    pairs.sort();
    let path = if service == "s3" {
        let decoded = percent_decode_str(request.path()).decode_utf8().unwrap().into_owned();
        decoded.split('/').map(encoded).collect::<Vec<_>>().join("/")
    } else {
        request.path().split('/').map(encoded).collect::<Vec<_>>().join("/")
    };
    let is_signed = |name: &str| names.split(';').any(|signed| signed == name);
    for name in request.headers.0.iter().map(|(name, _)| name.to_ascii_lowercase()) {
        if (name == "host" || name.starts_with("x-amz-")) && !is_signed(&name) {
            return Err(format!("{name} is not signed"));
        }
    }
    let headers = names.split(';').fold(String::new(), |all, name| {
        let words =
            |value: &&str| value.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let values: Vec<_> = request.headers.all(name).iter().map(words).collect();
        all + name + ":" + &values.join(",") + "\n"
    });
    let body_hash = hex(digest::digest(&digest::SHA256, &request.body).as_ref());
    let payload = match request.header("x-amz-content-sha256") {
        Some(stated) if stated.len() == 64 && stated != body_hash => {
            return Err(format!("the hash of the body is {body_hash}, not {stated}"));
        }
        Some(stated) => stated.to_owned(),
        None if is_in_query && service == "s3" => "UNSIGNED-PAYLOAD".to_owned(),
        None => body_hash,
    };
    let canonical = format!("{}\n{path}\n{}\n{headers}\n{names}\n{payload}", request.method, pairs.join("&"));
    let hash = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{hash}");
    let first = format!("AWS4{secret_access_key}").into_bytes();
    let key = [date, region, service, "aws4_request"].iter().fold(first, |key, part| keyed(&key, part));
    if hex(&keyed(&key, &text)) != signature || !time.starts_with(date) {
        return Err(format!("the canonical string should have been:\n{canonical}"));
    }
    Ok(Signature {
        access_key_id: access_key_id.to_owned(),
        time,
        scope: format!("{region}/{service}"),
        signed_headers: names.split(';').map(str::to_owned).collect(),
        session_token: token,
        payload,
    })
}

fn keyed(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |all, byte| all + &format!("{byte:02x}"))
}
