//! `http-message-signatures` (Python): an independent verifier of RFC 9421 and RFC 9530.

use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::super::process::run;
use super::{installed, tests_file};

/// A request as its receiver sees it, and the key of its signature.
pub struct SignedRequest<'a> {
    pub method: &'a str,
    /// The URL with the authority that was sent.
    pub url: String,
    pub target: &'a str,
    pub fields: Vec<(String, String)>,
    pub body: &'a [u8],
    pub algorithm: &'a str,
    /// A private key in PEM, or a shared key in Base64.
    pub key: &'a str,
    pub key_id: &'a str,
}

/// What the verifier found in each request: `covered` (values by identifier), `parameters`, `label`, and whether it compared the
/// `body` with its digest; or `error`.
pub async fn http_signatures_verify(requests: &[SignedRequest<'_>]) -> Vec<Value> {
    let mut command = Command::new(installed(".venv-http-signatures/bin/python"));
    command.arg(tests_file("real/http_signatures.py"));
    let requests: Vec<_> = requests
        .iter()
        .map(|request| {
            json!({
                "method": request.method,
                "url": request.url,
                "target": request.target,
                "fields": request.fields,
                "body": BASE64_STANDARD.encode(request.body),
                "algorithm": request.algorithm,
                "key": request.key,
                "key_id": request.key_id,
            })
        })
        .collect();
    let output = run(command, json!({ "requests": requests }).to_string().as_bytes()).await;
    assert!(output.status.success(), "the verifier: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
