//! Traces: spans of requests and token requests, and propagation of `traceparent`.

use std::time::Duration;

use h2::client::Builder;
use serde_json::json;

use crate::harness::{
    Gate, Http2, MockHttp2Upstream, MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream,
    RefusingPort, Request, Response, Sidekey, SidekeyBuilder, TraceCollector, assert_eventually, get,
    otlp_decode,
};
use crate::suite::admin::setup::TOKEN;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A Sidekey with traces to this collector, `more` keys of `tracing`, and these services.
fn tracing(collector: &TraceCollector, more: &str, services: &str) -> SidekeyBuilder {
    Sidekey::configured(&configuration(&collector.url(), more, services))
}

fn configuration(collector: &str, more: &str, services: &str) -> String {
    format!(
        "tracing: {{ otlp_endpoint: '{collector}', export_interval: 50ms {more} }}\n{}",
        Sidekey::configuration_serving(services)
    )
}

fn bearer(upstream: &MockUpstream) -> String {
    format!("api: {{ upstream: '{}/base', auth: {{ type: bearer, token: t0ken }} }}", upstream.url())
}

async fn call(sidekey: &Sidekey, path: &str, headers: &[(&str, &str)]) -> Response {
    let call = Request::get(sidekey.url(path));
    headers.iter().fold(call, |call, (name, value)| call.header(name, value)).send().await
}

#[tokio::test]
async fn trace_context_is_propagated_to_upstream() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    let headers = [("Traceparent", PARENT), ("tracestate", "a=1,b=2"), ("X-One", "1")];
    call(&sidekey, "/api/v1/things?key=s3cret", &headers).await;

    let span = collector.request_spans(1).await.remove(0);
    assert_eq!((span.text("traceId"), span.text("parentSpanId")), (TRACE, "00f067aa0ba902b7"));
    let request = upstream.only_request();
    assert_eq!(request.header("traceparent"), Some(span.traceparent().as_str()));
    assert_eq!(request.header("tracestate"), Some("a=1,b=2"));
    assert_eq!(request.header("x-one"), Some("1"));
    let exported = async || sidekey.metric("sidekey_trace_spans_total", &[("result", "exported")]).await;
    assert_eventually(Duration::from_secs(20), "the span is counted", async || exported().await == Some(1.0))
        .await;
}

#[tokio::test]
async fn trace_span_in_protobuf_is_read_by_opentelemetry() {
    assert_read_by_opentelemetry("", "application/x-protobuf").await;
}

#[tokio::test]
async fn trace_span_in_json_is_read_by_opentelemetry() {
    assert_read_by_opentelemetry(", protocol: http/json", "application/json").await;
}

/// Decodes a span with OpenTelemetry's own messages.
async fn assert_read_by_opentelemetry(protocol: &str, content_type: &str) {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let more = format!(", service_name: side, resource: {{ team: crm }} {protocol}");
    let sidekey = tracing(&collector, &more, &bearer(&upstream)).start().await;
    call(&sidekey, "/api/v1/things?key=s3cret", &[("Traceparent", PARENT)]).await;
    let span = collector.request_spans(1).await.remove(0);

    let decoded = otlp_decode(&collector.requests()).await;
    let [decoded] = decoded.as_slice() else { panic!("{decoded:#?}") };
    let port = upstream.address().port();
    assert_eq!(
        decoded["attributes"],
        json!({
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "network.peer.address": "127.0.0.1",
            "network.peer.port": port,
            "network.protocol.version": "1.1",
            "server.address": "127.0.0.1",
            "server.port": port,
            "sidekey.credential": "bearer",
            "sidekey.service": "api",
            "url.full": format!("http://127.0.0.1:{port}/base/v1/things"),
            "url.path": "/base/v1/things",
            "url.scheme": "http",
        })
    );
    assert_eq!(
        (&decoded["trace_id"], &decoded["parent_span_id"]),
        (&json!(TRACE), &json!("00f067aa0ba902b7"))
    );
    assert_eq!((&decoded["span_id"], &decoded["name"]), (&json!(span.text("spanId")), &json!("GET")));
    // Sampled; the parent's place is known, and it is another process.
    assert_eq!((&decoded["flags"], &decoded["scope"]), (&json!(0x301), &json!("sidekey")));
    let (kind, status) = (&decoded["kind"], &decoded["status"]);
    assert_eq!((kind, status), (&json!("SPAN_KIND_CLIENT"), &json!("STATUS_CODE_UNSET")));
    assert!(decoded["start"].as_u64().unwrap() <= decoded["end"].as_u64().unwrap());
    let resource = &decoded["resource"];
    assert_eq!((&resource["service.name"], &resource["team"]), (&json!("side"), &json!("crm")));
    assert_eq!(resource["telemetry.sdk.name"], "sidekey");
    let posted = collector.server().only_request();
    assert_eq!((posted.method.as_str(), posted.target.as_str()), ("POST", "/v1/traces"));
    assert_eq!(posted.header("content-type"), Some(content_type));
    assert!(posted.header("user-agent").is_some_and(|agent| agent.starts_with("sidekey/")));
}

#[tokio::test]
async fn traceparent_passes_unchanged_without_tracing() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&bearer(&upstream)).start().await;
    for value in [PARENT, "garbage", "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01"] {
        let headers = [("TraceParent", value), ("tracestate", "a=1"), ("Tracestate", "b=2")];
        call(&sidekey, "/api/x", &headers).await;
        let head = String::from_utf8(upstream.last_request().raw_head).unwrap();
        let as_it_came = format!("\r\nTraceParent: {value}\r\ntracestate: a=1\r\nTracestate: b=2\r\n");
        assert!(head.contains(&as_it_came), "{head}");
    }
    call(&sidekey, "/api/x", &[]).await;
    assert_eq!(upstream.last_request().header("traceparent"), None);
    assert_eq!(sidekey.metric("sidekey_trace_spans_total", &[]).await, Some(0.0));
}

#[tokio::test]
async fn traceparent_passes_unchanged_if_not_sampled() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    let not_sampled = PARENT.replace("-01", "-00");
    call(&sidekey, "/api/x", &[("Traceparent", &not_sampled), ("Tracestate", "a=1")]).await;
    let head = String::from_utf8(upstream.only_request().raw_head).unwrap();
    assert!(head.contains(&format!("\r\nTraceparent: {not_sampled}\r\nTracestate: a=1\r\n")), "{head}");
    // A sampled one follows, so that there is something to wait for.
    call(&sidekey, "/api/x", &[("Traceparent", PARENT)]).await;
    assert_eq!(collector.request_spans(1).await[0].text("traceId"), TRACE);
}

#[tokio::test]
async fn trace_without_valid_parent_starts_by_sample_ratio() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    let later = PARENT.replace("00-4", "01-4") + "-more";
    let cases: [(&[(&str, &str)], bool); 6] = [
        (&[], false),
        (&[("traceparent", "garbage"), ("tracestate", "a=1")], false),
        (&[("traceparent", &PARENT.replace("00-4", "ff-4")), ("tracestate", "a=1")], false),
        (&[("traceparent", PARENT), ("traceparent", PARENT), ("tracestate", "a=1")], false),
        (&[("tracestate", "a=1")], false),
        (&[("traceparent", &later), ("tracestate", "a=1")], true),
    ];
    for (count, (headers, is_continued)) in (1..).zip(cases) {
        call(&sidekey, "/api/x", headers).await;
        let span = collector.request_spans(count).await.pop().unwrap();
        let request = upstream.last_request();
        assert_eq!(request.header("traceparent"), Some(span.traceparent().as_str()), "{headers:?}");
        assert_eq!(span.text("traceId") == TRACE, is_continued, "{headers:?}");
        assert_eq!(span.text("parentSpanId").is_empty(), !is_continued, "{headers:?}");
        assert_eq!(request.header("tracestate"), is_continued.then_some("a=1"), "{headers:?}");
    }

    sidekey.reconfigure(&configuration(&collector.url(), ", sample_ratio: 0.0", &bearer(&upstream)));
    assert!(sidekey.reload().await);
    call(&sidekey, "/api/x", &[("traceparent", "garbage")]).await;
    assert_eq!(upstream.last_request().header("traceparent"), Some("garbage"), "as it came");
    call(&sidekey, "/api/x", &[("traceparent", PARENT)]).await;
    let last = &collector.request_spans(7).await[6];
    assert_eq!(last.text("traceId"), TRACE, "the ratio is for new traces only");
}

#[tokio::test]
async fn trace_records_http2_callers_and_upstreams() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    let mut caller = Http2::open_with(sidekey.address(), &Builder::new()).await;
    let mut request = get("/api/x?y");
    request.headers_mut().insert("traceparent", PARENT.parse().unwrap());
    assert_eq!(caller.call(request).await.status, 200);
    let span = collector.request_spans(1).await.remove(0);
    assert_eq!((span.text("traceId"), span.text("parentSpanId")), (TRACE, "00f067aa0ba902b7"));
    assert_eq!(upstream.only_request().header("traceparent"), Some(span.traceparent().as_str()));
    assert_eq!(span.attribute("network.protocol.version").as_deref(), Some("1.1"), "that of the upstream");

    let upstream = MockHttp2Upstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}', protocol: http2, auth: {{ type: bearer, token: t }} }}",
        upstream.url()
    );
    sidekey.reconfigure(&configuration(&collector.url(), "", &services));
    assert!(sidekey.reload().await);
    call(&sidekey, "/api/x", &[("TraceParent", PARENT)]).await;
    let span = collector.request_spans(2).await.remove(1);
    let sent = upstream.last_request().headers.get("traceparent").cloned();
    assert_eq!(sent, Some(span.traceparent().parse().unwrap()));
    assert_eq!(span.attribute("network.protocol.version").as_deref(), Some("2"));
}

#[tokio::test]
async fn trace_span_records_the_error_type() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let closed = RefusingPort::new();
    let services = format!(
        "{}\ndown: {{ upstream: 'http://{}', auth: {{ type: bearer, token: t }} }}\n\
         dry: {{ upstream: '{}', token_wait: 0s, auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: 'http://{}/token', client_id: a, client_secret: b }} }}",
        bearer(&upstream),
        closed.address,
        upstream.url(),
        closed.address
    );
    let sidekey = tracing(&collector, "", &services).start().await;
    let mut spans = Vec::new();
    let last = async |count| collector.request_spans(count).await.pop().unwrap();
    upstream.next(MockResponse::status(404));
    call(&sidekey, "/api/x", &[]).await;
    spans.push(last(1).await);
    call(&sidekey, "/down/x", &[]).await;
    spans.push(last(2).await);
    call(&sidekey, "/dry/x", &[]).await;
    spans.push(last(3).await);
    upstream.next(MockResponse::ok("cut short").cut_at(3));
    let _ = Request::get(sidekey.url("/api/x")).try_send().await;
    spans.push(last(4).await);
    let of = |key: &str| spans.iter().map(|span| span.attribute(key)).collect::<Vec<_>>();
    let some = |text: &str| Some(text.to_owned());
    let reasons = ["404", "upstream_connect", "credential_unavailable", "upstream_protocol"];
    assert_eq!(of("error.type"), reasons.map(some));
    assert_eq!(of("http.response.status_code"), ["404", "502", "503", "200"].map(some));
    assert_eq!(of("network.protocol.version"), [some("1.1"), None, None, some("1.1")]);
    for span in &spans {
        assert_eq!(span.status_code(), 2, "{span:?}");
    }
    assert!(spans[1].0["status"]["message"].as_str().unwrap().contains("connect"), "{:?}", spans[1]);
    // A request that matches no service has no span.
    assert_eq!(call(&sidekey, "/nothing", &[]).await.status, 404);
    upstream.next(MockResponse::status(204));
    assert_eq!(call(&sidekey, "/api/x", &[]).await.status, 204);
    assert_eq!(last(5).await.attribute("http.response.status_code").as_deref(), Some("204"));
}

#[tokio::test]
async fn trace_retry_is_one_span_and_token_requests_have_their_own() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let endpoint = MockTokenEndpoint::plain().await;
    endpoint.next(MockTokenResponse::error(400, "invalid_scope"));
    let services = format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: a, \
         client_secret: b, token_request: {{ min_interval: 1ms }} }} }}",
        upstream.url(),
        endpoint.url()
    );
    let config = configuration(&collector.url(), ", sample_ratio: 0", &services);
    let admin = format!("admin: {{ listen: 127.0.0.1:0, token: {TOKEN} }}");
    let sidekey = Sidekey::configured(&config.replace("admin: 127.0.0.1:0", &admin)).start().await;
    let refused = collector.token_spans(1).await.remove(0);
    let of = |span: &crate::harness::TraceSpan, key: &str| span.attribute(key).unwrap_or_default();
    let outcome = |span: &crate::harness::TraceSpan| {
        (of(span, "sidekey.token.result"), of(span, "sidekey.token.attempt"))
    };
    assert_eq!(of(&refused, "sidekey.token.error_code"), "invalid_scope");
    assert_eq!(of(&refused, "error.type"), "refused");
    assert_eq!(outcome(&refused), ("failure".into(), "1".into()));
    assert_eq!(refused.status_code(), 2);

    let refresh = Request::post(sidekey.admin_url("/api/v1/services/api/refresh"), "{}");
    let refresh = refresh.header("Content-Type", "application/json");
    let refreshed = refresh.header("Authorization", &format!("Bearer {TOKEN}")).send().await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text());
    sidekey.ready().await;
    let obtained = collector.token_spans(2).await.pop().unwrap();
    assert_eq!(outcome(&obtained), ("success".into(), "2".into()));
    assert_eq!(of(&obtained, "sidekey.token.grant_type"), "client_credentials");
    assert_eq!(
        (of(&obtained, "server.address"), of(&obtained, "sidekey.service")),
        ("127.0.0.1".into(), "api".into())
    );
    assert_eq!((obtained.text("parentSpanId"), obtained.status_code()), ("", 0));

    upstream.next(MockResponse::status(401));
    assert_eq!(call(&sidekey, "/api/x", &[("traceparent", PARENT)]).await.status, 200);
    let span = collector.request_spans(1).await.remove(0);
    assert_eq!(
        (of(&span, "sidekey.replayed"), of(&span, "http.request.resend_count")),
        ("true".into(), "1".into())
    );
    assert_eq!(of(&span, "http.response.status_code"), "200");
    assert_eq!(sent(&upstream), [Some(span.traceparent()), Some(span.traceparent())]);
    assert_eq!(collector.token_spans(3).await.len(), 3, "the refresh after the 401");
}

/// `traceparent` of each request.
fn sent(upstream: &MockUpstream) -> Vec<Option<String>> {
    upstream.requests().iter().map(|request| request.header("traceparent").map(str::to_owned)).collect()
}

#[tokio::test]
async fn trace_span_of_disconnected_caller_is_caller_gone() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    upstream.next(MockResponse::never());
    let mut connection = sidekey.connect().await;
    connection.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    upstream.received(1).await;
    drop(connection);
    let span = collector.request_spans(1).await.remove(0);
    assert_eq!(span.attribute("error.type").as_deref(), Some("caller_gone"));
    assert_eq!(span.attribute("http.response.status_code"), None);
    assert_eq!(span.status_code(), 2);
}

#[tokio::test]
async fn trace_failover_keeps_the_span() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let (closed, endpoint, gate) = (RefusingPort::new(), MockTokenEndpoint::plain().await, Gate::closed());
    endpoint.next(MockTokenResponse::issue(3600).delayed_until(&gate));
    let services = format!(
        "several: {{ upstream: ['http://{}/other', '{}/base'], auth: {{ type: bearer, token: t }} }}\n\
         waits: {{ upstream: '{}', token_wait: 30s, auth: {{ type: oauth2, grant_type: client_credentials, token_url: '{}', \
         client_id: a, client_secret: b }} }}",
        closed.address,
        upstream.url(),
        upstream.url(),
        endpoint.url()
    );
    let sidekey = tracing(&collector, "", &services).start().await;
    // Round robin: one of these requests tries the closed URL first.
    for count in 1..=2 {
        assert_eq!(call(&sidekey, "/several/x", &[("traceparent", PARENT)]).await.status, 200);
        let span = collector.request_spans(count).await.pop().unwrap();
        assert_eq!(upstream.last_request().header("traceparent"), Some(span.traceparent().as_str()));
        assert_eq!(span.attribute("url.path").as_deref(), Some("/base/x"));
        assert_eq!(span.attribute("server.port"), Some(upstream.address().port().to_string()));
        assert_eq!(span.attribute("http.request.resend_count"), None, "it was sent once");
    }
    let waiting = tokio::spawn({
        let call = Request::get(sidekey.url("/waits/x")).header("traceparent", PARENT);
        async move { call.send().await.status }
    });
    endpoint.received(1).await;
    let labels = [("service", "waits")];
    let in_flight = async || sidekey.metric("sidekey_requests_in_flight", &labels).await == Some(1.0);
    assert_eventually(Duration::from_secs(20), "it waits for its token", in_flight).await;
    gate.open();
    assert_eq!(waiting.await.unwrap(), 200);
    let span = collector.request_spans(3).await.pop().unwrap();
    assert_eq!(upstream.last_request().header("traceparent"), Some(span.traceparent().as_str()));
    assert_eq!(span.text("traceId"), TRACE);
}

#[tokio::test]
async fn trace_span_counts_resends_after_connection_loss() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    assert_eq!(call(&sidekey, "/api/x", &[]).await.status, 200);
    // A reused connection that ends without a response is replaced once.
    upstream.next(MockResponse::close_unanswered());
    assert_eq!(call(&sidekey, "/api/x", &[]).await.status, 200);
    let span = collector.request_spans(2).await.remove(1);
    assert_eq!(span.attribute("http.request.resend_count").as_deref(), Some("1"));
    assert_eq!(span.attribute("sidekey.replayed"), None);
    assert_eq!(sent(&upstream)[1..], [Some(span.traceparent()), Some(span.traceparent())]);
}

#[tokio::test]
async fn trace_span_of_websocket_ends_when_it_closes() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = tracing(&collector, "", &bearer(&upstream)).start().await;
    upstream.next(MockResponse::switch_to_echo("websocket"));
    let mut connection = sidekey.connect().await;
    connection
        .send("GET /api/ws HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        .await;
    assert_eq!(connection.head().await.0, 101);
    connection.send("hello").await;
    assert_eq!(connection.bytes(5).await, b"hello");
    // Another request, so that there is something to wait for.
    call(&sidekey, "/api/x", &[]).await;
    let other = collector.request_spans(1).await.remove(0);
    assert_eq!(other.attribute("http.response.status_code").as_deref(), Some("200"));
    connection.finish().await;
    connection.rest().await;
    let span = collector.request_spans(2).await.remove(1);
    assert_eq!(span.attribute("http.response.status_code").as_deref(), Some("101"));
    assert_eq!(span.attribute("error.type"), None);
}
