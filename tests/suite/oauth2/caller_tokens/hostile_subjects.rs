//! Requests without a token, and with something that is no token: they get 401, and nobody's token.

use super::setup::{EXCHANGE, Issuer, call, echo, number, serving};
use crate::harness::{Request, Response};
use crate::suite::http::setup::Wire;

fn is_unauthenticated(response: &Response) -> bool {
    response.status == 401
        && response.sidekey_error() == Some("unauthenticated")
        && response.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer "))
        && response.header("content-type") == Some("application/problem+json")
}

#[tokio::test]
async fn request_without_one_bearer_token_is_unauthenticated() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    // Another caller has a token, which must stay its own.
    assert_eq!(number(&call(&sidekey, "alice").await, "alice"), 1);
    let huge = format!("Bearer {}", "x".repeat(16 * 1024 + 1));
    let fields: &[&[(&str, &str)]] = &[
        &[],
        &[("Authorization", "")],
        &[("Authorization", "Bearer")],
        &[("Authorization", "Bearer ")],
        &[("Authorization", "Basic YWxpY2U6YWxpY2U=")],
        &[("Authorization", "alice")],
        &[("Authorization", "Token alice")],
        &[("Authorization", "Bearer alice, Bearer bob")],
        &[("Authorization", "Bearer alice,bob")],
        &[("Authorization", "Bearer alice bob")],
        &[("Authorization", "Bearer ==")],
        &[("Authorization", "Bearer a=b")],
        &[("Authorization", "Bearer \u{e9}")],
        &[("Authorization", "Bearer \"alice\"")],
        &[("Authorization", &huge)],
        &[("Authorization", "Bearer alice"), ("Authorization", "Bearer bob")],
        &[("Authorization", "Bearer alice"), ("authorization", "Bearer alice")],
        &[("Authorization", "Bearer alice"), ("Authorization", "")],
        &[("Proxy-Authorization", "Bearer alice")],
        &[("X-Authorization", "Bearer alice")],
    ];
    for fields in fields {
        let request = fields
            .iter()
            .fold(Request::get(sidekey.url("/api/x")), |request, (name, value)| request.header(name, value));
        let response = request.send().await;
        assert!(is_unauthenticated(&response), "{fields:?}: {} {}", response.status, response.text());
        assert!(!response.text().contains("alice"), "{fields:?}: {}", response.text());
    }
    assert_eq!((issuer.requests(), upstream.request_count()), (1, 1), "nothing was exchanged or forwarded");
    let reasons = [("service", "api"), ("reason", "unauthenticated")];
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &reasons).await, Some(fields_count(fields)));
    let longest = "x".repeat(16 * 1024);
    assert_eq!(number(&call(&sidekey, &longest).await, &longest), 2, "the longest token is accepted");
}

#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn fields_count(fields: &[&[(&str, &str)]]) -> f64 {
    fields.len() as f64
}

#[tokio::test]
async fn token_that_is_as_a_parameter_stays_a_value() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    // Characters of a form that a bearer token may have.
    let token = "a+b/c~d-e_f.g==";
    assert_eq!(number(&call(&sidekey, token).await, token), 1);
    let body = String::from_utf8(issuer.server.only_request().body).unwrap();
    assert_eq!(body.matches("subject_token=").count(), 1, "{body}");
}

#[tokio::test]
async fn connection_carries_no_subject_to_the_next_request() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let sidekey = serving(&upstream, &issuer, EXCHANGE, "").await;
    let mut client = Wire::to(&sidekey).await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer alice\r\n\r\n").await;
    assert!(client.until("for-alice-1").await.starts_with("HTTP/1.1 200 "));
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(client.until("\r\n\r\n").await.contains("HTTP/1.1 401 "));
    client.until("}\n").await;
    client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer bob\r\n\r\n").await;
    assert!(client.until("for-bob-2").await.contains("HTTP/1.1 200 "));
}
