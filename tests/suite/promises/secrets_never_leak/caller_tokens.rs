//! Tokens that callers present, and tokens that are requested with them.

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{MockResponse, Sidekey};
use crate::suite::oauth2::caller_tokens::setup::{EXCHANGE, Issuer, call, echo, service};

#[tokio::test]
async fn tokens_of_callers_and_for_them_are_shown_nowhere() {
    let (upstream, issuer) = (echo().await, Issuer::start().await);
    let service = service(&upstream, &issuer, EXCHANGE, ", leak_guard: body");
    let sidekey = Sidekey::serving(&service).env("RUST_LOG", "trace").start().await;
    let [good, bad, other] = ["good", "bad", "other"].map(|place| {
        let mut canary = Canary::new(place);
        // Characters that no bearer token has.
        canary.value.retain(|character| !"%&=:".contains(character));
        canary
    });
    issuer.refuse(&bad.value, "invalid_grant");
    let response = call(&sidekey, &good.value).await;
    assert_eq!(response.status, 200);
    assert!(good.is_in(upstream.last_request().header("authorization").unwrap()));
    assert_none_in("a body that repeats the token", &response.text(), [&good]);
    assert_eq!(call(&sidekey, &bad.value).await.status, 401);
    issuer.fail("*", MockResponse::status(500).body(format!("{{\"error\":\"{}\"}}", good.value)));
    assert_eq!(call(&sidekey, &other.value).await.status, 503);
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, [&good, &bad, &other]);
    }
}
