//! Token endpoints that echo what they received, and what they issue, in every part of the response.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, RecordedRequest, Request, Sidekey, TIMEOUT,
    assert_eventually,
};

/// A response that echoes `text`.
type Echo = fn(text: &str, token: &str) -> MockResponse;

fn error(members: &Value) -> MockResponse {
    MockResponse::status(400).header("Content-Type", "application/json").body(members.to_string())
}

const ECHOES: [(&str, Echo); 14] = [
    ("code", |text, _| error(&json!({ "error": text }))),
    ("description", |text, _| error(&json!({ "error": "invalid_client", "error_description": text }))),
    ("under-200", |text, _| MockResponse::json(&json!({ "error": "x", "error_description": text }))),
    ("at-the-cut", |text, _| {
        let long = "y".repeat(195) + text;
        error(&json!({ "error": "x", "error_description": long }))
    }),
    ("type", |text, token| MockResponse::json(&json!({ "access_token": token, "token_type": text }))),
    ("type-token", |_, token| MockResponse::json(&json!({ "access_token": token, "token_type": token }))),
    ("error-token", |_, token| {
        error(&json!({ "access_token": token, "error": token, "error_description": format!("bad {token}") }))
    }),
    ("scope", |text, token| {
        MockResponse::json(&json!({ "access_token": token, "expires_in": 1, "scope": text, "note": text }))
    }),
    ("html", |text, _| {
        MockResponse::status(500).header("Content-Type", "text/html").body(format!("<h1>{text}</h1>"))
    }),
    ("header", |text, token| {
        let line = text.replace(['\r', '\n'], " ");
        MockResponse::status(429).header("X-Echo", &line).header("Retry-After", &line).body(token)
    }),
    ("redirect", |text, _| {
        let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        MockResponse::status(302).header("Location", &format!("http://127.0.0.1:9/{encoded}"))
    }),
    ("reason", |text, _| MockResponse::raw(format!("HTTP/1.1 400 {text}\r\nContent-Length: 0\r\n\r\n"))),
    ("garbage", |text, _| MockResponse::raw(format!("{text}\r\n\r\n"))),
    ("broken", |text, token| {
        MockResponse::ok(format!("{{\"access_token\":\"{token}\",\"error_description\":\"{text}"))
    }),
];

/// Everything an endpoint knows, in every encoding.
fn known(request: &RecordedRequest, secret: &str) -> String {
    let authorization = request.header("authorization").unwrap_or_default().to_owned();
    let pair = authorization.strip_prefix("Basic ").and_then(|pair| BASE64_STANDARD.decode(pair).ok());
    let form: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut text = format!("{secret} {authorization} {}", request.text());
    write!(text, " {}", String::from_utf8_lossy(&pair.unwrap_or_default())).unwrap();
    write!(text, " {form} {} {}", form.to_lowercase(), form.replace('+', "%20")).unwrap();
    write!(text, " {}", utf8_percent_encode(secret, NON_ALPHANUMERIC)).unwrap();
    write!(text, " {} {}", BASE64_STANDARD.encode(secret), BASE64_STANDARD.encode(&form)).unwrap();
    text
}

#[tokio::test]
async fn token_response_echoes_are_not_shown() {
    let mut endpoints = Vec::new();
    let mut canaries = Vec::new();
    let mut configuration = String::new();
    for (place, echo) in ECHOES {
        for method in ["client_secret_basic", "client_secret_post"] {
            let (secret, token) =
                (Canary::new(format!("{place} {method}")), Canary::new(format!("{place} token")));
            let param = Canary::new(format!("{place} parameter"));
            let endpoint = MockTokenEndpoint::plain().await;
            let (value, issued) = (secret.value.clone(), token.value.clone());
            endpoint.server().respond_with(move |request| echo(&known(request, &value), &issued));
            writeln!(
                configuration,
                "{place}-{method}: {{ upstream: 'http://127.0.0.1:9', token_wait: 0s, auth: {{ type: oauth2, \
                 grant_type: client_credentials, token_url: '{}?key={}', client_id: me, client_secret: '{}', \
                 auth_method: {method}, token_request: {{ params: {{ extra: '{}' }} }} }} }}",
                endpoint.url(),
                form_urlencoded::byte_serialize(param.value.as_bytes()).collect::<String>(),
                secret.value,
                param.value,
            )
            .unwrap();
            endpoints.push(endpoint);
            canaries.extend([secret, token, param]);
        }
    }
    let sidekey = Sidekey::serving(&configuration).env("RUST_LOG", "trace").start().await;
    for endpoint in &endpoints {
        endpoint.received(1).await;
    }
    let all_processed = async || {
        let text = Request::get(sidekey.admin_url("/readyz")).send().await.text();
        !text.contains("on its way")
    };
    assert_eventually(TIMEOUT, "every response is processed", all_processed).await;
    let mut answers = String::new();
    for (place, _) in ECHOES {
        let response = sidekey.get(&format!("/{place}-client_secret_basic/")).await;
        write!(answers, "{}{}", String::from_utf8_lossy(&response.raw_head), response.text()).unwrap();
    }
    assert_none_in("an answer", &answers, &canaries);
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, &canaries);
    }
}

/// One encoding at a time, so that none is redacted only because another one was found beside it.
#[tokio::test]
async fn each_encoding_of_a_secret_is_redacted() {
    let (secret, param) = (Canary::new("the client"), Canary::new("a parameter"));
    let asked = Canary::new("the token");
    let forms: Vec<Value> = [&secret, &param, &asked]
        .iter()
        .flat_map(|canary| {
            let value = &canary.value;
            let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
            let percent = utf8_percent_encode(value, NON_ALPHANUMERIC).to_string();
            let base64 =
                ["", "me:", "x:", "y"].map(|prefix| BASE64_STANDARD.encode(format!("{prefix}{value}")));
            let pair = BASE64_STANDARD.encode(format!("me:{form}"));
            [value.clone(), form.to_lowercase(), form, percent.to_lowercase(), percent, pair]
                .into_iter()
                .chain(base64)
        })
        .map(|form| json!({ "error": "invalid_client", "error_description": format!("what is {form}?") }))
        .collect();
    let (mut endpoints, mut configuration) = (Vec::new(), String::new());
    for (number, form) in forms.iter().enumerate() {
        let endpoint = MockTokenEndpoint::plain().await;
        // First a token that expires at once, so that the endpoint has one to echo.
        endpoint.next(MockTokenResponse::json(&json!({ "access_token": asked.value, "expires_in": 0.2 })));
        endpoint.always(error(form));
        writeln!(
            configuration,
            "s{number}: {{ upstream: 'http://127.0.0.1:9', auth: {{ type: oauth2, grant_type: client_credentials, \
             token_url: '{}', client_id: me, client_secret: '{}', token_request: {{ params: {{ extra: '{}' }} }} }} }}",
            endpoint.url(),
            secret.value,
            param.value
        )
        .unwrap();
        endpoints.push(endpoint);
    }
    let sidekey = Sidekey::serving(&configuration).env("RUST_LOG", "trace").start().await;
    let processed = async || {
        let text = Request::get(sidekey.admin_url("/readyz")).send().await.text();
        text.matches("400 with error invalid_client: ").count() == forms.len()
    };
    assert_eventually(TIMEOUT, "every response is processed", processed).await;
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, [&secret, &param, &asked]);
    }
}
