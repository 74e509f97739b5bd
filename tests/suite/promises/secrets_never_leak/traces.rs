//! Spans contain no secret, and the collector's own secret is sent to the collector only.

use std::time::Duration;

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RecordedRequest, Request, Sidekey,
    TraceCollector, assert_eventually,
};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test]
async fn trace_spans_contain_no_secret() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let (endpoint, refusing) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::plain().await);
    let names = ["bearer", "query", "password", "client", "refused client", "token", "collector", "caller"];
    let canaries = names.map(Canary::new);
    let of = |name: &str| canaries.iter().find(|canary| canary.place == name).unwrap();
    endpoint.always(MockTokenResponse::json(
        &serde_json::json!({ "access_token": of("token").value, "expires_in": 3600, "scope": of("token").value }),
    ));
    refusing.always(MockTokenResponse::json(&serde_json::json!({
        "error": of("refused client").value, "error_description": format!("you sent {}", of("refused client").value),
    })));
    let url = upstream.url();
    let oauth2 = |endpoint: &MockTokenEndpoint, secret: &str| {
        format!(
            "{{ upstream: '{url}', token_wait: 0s, auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}?k={}', \
             client_id: me, client_secret: {{ file: '$DIR/{secret}' }} }} }}",
            endpoint.url(),
            // Some providers require a secret in the query.
            form_urlencoded::byte_serialize(of(secret).value.as_bytes()).collect::<String>(),
        )
    };
    let services = format!(
        "bearer: {{ upstream: '{url}', auth: {{ type: bearer, token: {{ file: $DIR/bearer }} }} }}\n\
         query: {{ upstream: '{url}', auth: {{ type: api_key, in: query, name: key, value: {{ file: $DIR/query }} }} }}\n\
         basic: {{ upstream: '{url}', auth: {{ type: basic, username: me, password: {{ file: $DIR/password }} }} }}\n\
         token: {}\n\
         refused: {}",
        oauth2(&endpoint, "client"),
        oauth2(&refusing, "refused client"),
    );
    let mut builder = Sidekey::configured(&format!(
        "tracing: {{ otlp_endpoint: '{}', export_interval: 20ms, headers: {{ x-api-key: {{ file: $DIR/collector }} }} }}\n{}",
        collector.url(),
        Sidekey::configuration_serving(&services)
    ))
    .env("RUST_LOG", "trace");
    for canary in &canaries {
        builder = builder.file(&canary.place, &canary.value);
    }
    let sidekey = builder.start().await;
    collector.token_spans(2).await;
    let own = of("caller").value.replace(['%', '/', '&'], "");
    let mut count = 0;
    for service in ["bearer", "query", "basic", "token", "refused"] {
        for answer in [
            MockResponse::ok("ok"),
            MockResponse::status(401)
                .header("WWW-Authenticate", &format!("Bearer error=\"{}\"", of("bearer").value)),
            MockResponse::raw(format!("no HTTP: {}\r\n\r\n", of("bearer").value)),
            MockResponse::ok("cut short").cut_at(3),
        ] {
            upstream.next(answer);
            let call = Request::post(sidekey.url(&format!("/{service}/x?secret={own}")), own.as_str());
            let call = call.header("Authorization", &own).header("X-Key", &own).header("Cookie", &own);
            let call = call.header("traceparent", PARENT).header("tracestate", &format!("a={own}"));
            let _ = call.try_send().await;
            count += 1;
        }
    }
    collector.request_spans(count).await;
    let others = text(&upstream) + &text(endpoint.server());
    let heads = heads(collector.server());
    let bodies: String = collector.exports().iter().map(ToString::to_string).collect();
    assert!(of("collector").is_in(&heads), "it was sent");
    for name in ["caller", "token", "query"] {
        assert!(of(name).is_in(&others), "and so was that of {name}");
    }
    assert_none_in("a span", &bodies, &canaries);
    assert_none_in("a request to another host", &others, [of("collector")]);
    collector.server().always(MockResponse::status(401).body(of("collector").value.clone()));
    Request::get(sidekey.url("/bearer/x")).send().await;
    let told = async || sidekey.log().contains("traces are not exported");
    assert_eventually(Duration::from_secs(20), "the rejection is logged", told).await;
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, &canaries);
    }
}

fn heads(server: &MockUpstream) -> String {
    server.requests().iter().map(|request| String::from_utf8_lossy(&request.raw_head).into_owned()).collect()
}

fn text(server: &MockUpstream) -> String {
    let text =
        |request: &RecordedRequest| String::from_utf8_lossy(&request.raw_head).into_owned() + &request.text();
    server.requests().iter().map(text).collect()
}
