//! Token responses that say what the standard says in other forms: names of types, codings, charsets, errors
//! that are none.

use std::io::Read as _;

use flate2::Compression;
use flate2::read::GzEncoder;
use serde_json::{Value, json};

use super::setup::{no_credential, service};
use crate::harness::{MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey};

/// Asserts that each response leads to this `Authorization`.
async fn accepted(answers: Vec<(String, MockTokenResponse)>, authorization: &str) {
    let upstream = MockUpstream::plain().await;
    let (mut config, mut endpoints) = (String::new(), Vec::new());
    for (index, (what, answer)) in answers.into_iter().enumerate() {
        let endpoint = MockTokenEndpoint::plain().await;
        endpoint.always(answer);
        config += &service(&format!("s{index}"), &upstream, &endpoint, "", "");
        endpoints.push((what, endpoint));
    }
    let sidekey = Sidekey::serving(&config).start().await;
    for (index, (what, _endpoint)) in endpoints.iter().enumerate() {
        assert_eq!(sidekey.get(&format!("/s{index}/")).await.status, 200, "{what}");
        assert_eq!(upstream.last_request().header("authorization"), Some(authorization), "{what}");
    }
}

fn with(extra: &Value) -> MockTokenResponse {
    let mut body = json!({ "access_token": "abc", "expires_in": 3600 });
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    MockTokenResponse::json(&body)
}

#[tokio::test]
async fn token_type_of_a_bearer_token_has_many_names() {
    let names = ["Bearer ", "BearerToken", "bearer_token", "bot", "user", "JWT", "access_token", "BEARER"];
    let answers = names.map(|name| (name.to_owned(), with(&json!({ "token_type": name }))));
    accepted(answers.into(), "Bearer abc").await;
}

#[tokio::test]
async fn scheme_in_front_of_token_is_not_sent_twice() {
    let values = ["Bearer abc", "bearer abc", "BEARER  abc", " abc ", "Bearer abc\n"];
    let answers = values.map(|value| (value.to_owned(), with(&json!({ "access_token": value }))));
    accepted(answers.into(), "Bearer abc").await;
}

#[tokio::test]
async fn token_is_found_under_other_names_and_in_an_object() {
    let bodies = [
        json!({ "accessToken": "abc", "tokenType": "Bearer", "expiresIn": 3600 }),
        json!({ "data": { "access_token": "abc", "expires_in": 3600 }, "message": "success" }),
    ];
    let answers = bodies.map(|body| (body.to_string(), MockTokenResponse::json(&body)));
    accepted(answers.into(), "Bearer abc").await;
}

#[tokio::test]
async fn response_with_hundreds_of_fields_is_accepted() {
    let body = json!({ "access_token": "abc", "expires_in": 3600 });
    let answers = [101, 900].map(|count| {
        let response = (0..count).fold(MockResponse::json(&body), |response, number| {
            response.header(&format!("X-Field-{number}"), "value")
        });
        (format!("{count} fields"), response.into())
    });
    accepted(answers.into(), "Bearer abc").await;
}

#[tokio::test]
async fn error_that_says_nothing_does_not_hide_the_token() {
    let none = [json!(0), json!(""), json!(null), json!(false), json!([]), json!("0"), json!({})];
    let answers = none.map(|value| (value.to_string(), with(&json!({ "error": value }))));
    accepted(answers.into(), "Bearer abc").await;
}

#[tokio::test]
async fn content_coding_is_gzip_under_any_name() {
    let body = json!({ "access_token": "abc", "token_type": "Bearer", "expires_in": 3600 }).to_string();
    let mut zipped = Vec::new();
    GzEncoder::new(body.as_bytes(), Compression::default()).read_to_end(&mut zipped).unwrap();
    let mut answers: Vec<(String, MockTokenResponse)> = Vec::new();
    for coding in ["gzip", "GZIP", "Gzip", "x-gzip", "X-GZIP", "identity, gzip"] {
        let answer = MockResponse::ok(zipped.clone()).header("Content-Encoding", coding);
        answers.push((coding.into(), answer.into()));
    }
    answers.push(("identity".into(), MockResponse::ok(body).header("Content-Encoding", "identity").into()));
    accepted(answers, "Bearer abc").await;
}

#[tokio::test]
async fn charset_of_response_is_respected() {
    let body = "{\"access_token\":\"abc\",\"expires_in\":3600,\"scope\":\"caf\u{e9}\"}";
    let latin: Vec<u8> = body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let wide: Vec<u8> = body.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let answers = [
        ("application/json; charset=ISO-8859-1", latin.clone()),
        ("application/json;charset=windows-1252", latin.clone()),
        ("application/json", latin),
        ("application/json; charset=utf-16", [&b"\xff\xfe"[..], &wide].concat()),
        ("application/json; charset=UTF-16LE", wide),
    ];
    let answers = answers.map(|(content_type, body)| {
        let answer = MockResponse::ok(body).header("Content-Type", content_type);
        (content_type.to_owned(), answer.into())
    });
    accepted(answers.into(), "Bearer abc").await;
}

#[tokio::test]
async fn token_type_with_a_name_of_its_own_is_accepted_by_configuration() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(with(&json!({ "token_type": "example-session" })));
    let config = service("closed", &upstream, &endpoint, "", "")
        + &service("open", &upstream, &endpoint, "accept_token_type: Example-Session,", "");
    let sidekey = Sidekey::serving(&config).start().await;
    no_credential(&sidekey.get("/closed/").await);
    let said = sidekey.logged_like("token not obtained: the token endpoint issued a token of type").await;
    assert!(said["message"].as_str().unwrap().contains("`accept_token_type`"), "{said}");
    assert_eq!(sidekey.get("/open/").await.status, 200);
    assert_eq!(upstream.only_request().header("authorization"), Some("Bearer abc"));
}

/// A refresh token that was spent has a successor, whatever else the response has.
#[tokio::test]
async fn refresh_token_beside_an_unusable_token_is_kept() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let answer = |extra: &Value| {
        let mut body = json!({ "access_token": "abc", "expires_in": 3600, "refresh_token": "second" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        MockTokenResponse::json(&body)
    };
    endpoint.next(answer(&json!({ "token_type": "mac" })));
    endpoint.next(answer(&json!({ "expires_in": "soon", "refresh_token": "third" })));
    let sidekey = Sidekey::serving(&format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, token_url: '{}', client_id: me, grant_type: refresh_token, \
         refresh_token: first }} }}",
        upstream.url(),
        endpoint.url()
    ))
    .start_ready()
    .await;
    let spent: Vec<_> = endpoint
        .requests()
        .iter()
        .map(|request| request.param("refresh_token").unwrap().to_owned())
        .collect();
    assert_eq!(spent, ["first", "second", "third"]);
    let failed = [("result", "failure"), ("reason", "malformed")];
    assert_eq!(sidekey.metric("sidekey_token_requests_total", &failed).await, Some(2.0));
}
