//! Export of traces to a collector that is slow, hangs, rejects or is down: requests are not affected.

use serde_json::json;

use crate::harness::{
    Gate, MockResponse, MockUpstream, Pki, Response, Sidekey, SidekeyBuilder, TIMEOUT, TraceCollector,
    assert_eventually,
};

fn configuration(tracing: &str, upstream: &MockUpstream) -> String {
    let api = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}", upstream.url());
    let config = Sidekey::configuration_serving(&api).replace("level: debug", "level: info");
    if tracing.is_empty() { config } else { format!("tracing: {{ {tracing} }}\n{config}") }
}

fn sidekey(tracing: &str, upstream: &MockUpstream) -> SidekeyBuilder {
    Sidekey::configured(&configuration(tracing, upstream))
}

fn quick(collector: &TraceCollector) -> String {
    format!("otlp_endpoint: '{}', export_interval: 20ms", collector.url())
}

/// A configuration with an export interval that never passes.
fn slow(collector: &TraceCollector) -> String {
    format!("otlp_endpoint: '{}', export_interval: 1h", collector.url())
}

/// Sends `count` requests on one connection.
async fn calls(sidekey: &Sidekey, count: usize) {
    let mut connection = sidekey.connect().await;
    for _ in 0..count {
        connection.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        let response: Response = connection.response().await;
        assert_eq!(response.status, 200);
    }
}

async fn count(sidekey: &Sidekey, result: &str) -> usize {
    let count = sidekey.metric("sidekey_trace_spans_total", &[("result", result)]).await.unwrap();
    format!("{count}").parse().unwrap()
}

async fn counted(sidekey: &Sidekey, result: &str, expected: usize) {
    let what = format!("{expected} spans {result}");
    assert_eventually(TIMEOUT, &what, async || count(sidekey, result).await >= expected).await;
    assert_eq!(count(sidekey, result).await, expected, "{result}");
}

fn lines(sidekey: &Sidekey, start: &str) -> usize {
    let begins =
        |event: &serde_json::Value| event["message"].as_str().is_some_and(|text| text.starts_with(start));
    sidekey.events().iter().filter(|event| begins(event)).count()
}

#[tokio::test]
async fn trace_export_drops_spans_beyond_queue_if_collector_hangs() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let gate = Gate::closed();
    // A body of no bytes is a response that rejects nothing.
    collector.server().always(MockResponse::ok("").delayed_until(&gate));
    let sidekey = sidekey(&quick(&collector), &upstream).start().await;
    calls(&sidekey, 1).await;
    collector.server().received(1).await;
    // The queue holds 4096 spans.
    calls(&sidekey, 4096 + 10).await;
    counted(&sidekey, "dropped", 10).await;
    gate.open();
    counted(&sidekey, "exported", 4097).await;
    let mut sizes = collector.batch_sizes();
    // Not the first export, which waited at the gate.
    sizes.retain(|size| *size > 1);
    assert_eq!(sizes, [512; 8]);
}

#[tokio::test]
async fn trace_export_sends_full_batch_before_the_interval() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = sidekey(&slow(&collector), &upstream).start().await;
    calls(&sidekey, 512).await;
    counted(&sidekey, "exported", 512).await;
}

#[tokio::test]
async fn trace_export_retries_temporary_failures() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    for answer in [
        MockResponse::status(502),
        MockResponse::reset(),
        MockResponse::status(429).header("Retry-After", "0"),
        MockResponse::status(503).header("Retry-After", "0"),
    ] {
        collector.server().next(answer);
    }
    let sidekey = sidekey(&quick(&collector), &upstream).start().await;
    calls(&sidekey, 3).await;
    counted(&sidekey, "exported", 3).await;
    sidekey.logged("traces are exported again").await;
    let first = sidekey.logged_like("traces are not exported").await;
    assert!(first["message"].as_str().unwrap().contains("the collector answered 502"), "{first}");
    assert_eq!(lines(&sidekey, "traces are not exported"), 1);
    assert_eq!(count(&sidekey, "failed").await, 0);
}

#[tokio::test]
async fn trace_export_does_not_retry_rejected_spans() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let sidekey = sidekey(&quick(&collector), &upstream).start().await;
    collector.server().next(MockResponse::status(401).body("CANARY"));
    calls(&sidekey, 1).await;
    counted(&sidekey, "failed", 1).await;
    let told = sidekey.logged_like("traces are not exported").await;
    assert!(told["message"].as_str().unwrap().contains("answered 401 (`tracing.headers`"), "{told}");
    assert!(!sidekey.log().contains("CANARY"));
    assert_eq!(collector.server().request_count(), 1);

    collector.next_rejects(1, false);
    calls(&sidekey, 1).await;
    counted(&sidekey, "failed", 2).await;
    // A 200 with an invalid body: the spans count as exported.
    collector.server().next(MockResponse::ok(vec![b'x'; 200_000]));
    calls(&sidekey, 1).await;
    counted(&sidekey, "exported", 1).await;
}

#[tokio::test]
async fn trace_export_counts_spans_rejected_in_json() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let json = format!("{}, protocol: http/json", slow(&collector));
    let mut sidekey = sidekey(&json, &upstream).start().await;
    collector.next_rejects(2, true);
    calls(&sidekey, 512).await;
    counted(&sidekey, "failed", 2).await;
    counted(&sidekey, "exported", 510).await;
    assert_eq!(collector.server().only_request().header("content-type"), Some("application/json"));
    assert!(sidekey.terminate().await.success());
}

#[tokio::test]
async fn trace_export_recovers_when_collector_is_back() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    collector.server().set_accepting(false);
    let sidekey = sidekey(&quick(&collector), &upstream).start().await;
    calls(&sidekey, 5).await;
    sidekey.logged_like("traces are not exported").await;
    collector.server().set_accepting(true);
    counted(&sidekey, "exported", 5).await;
}

#[tokio::test]
async fn trace_export_flushes_at_shutdown_with_a_limit() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let mut running = sidekey(&slow(&collector), &upstream).start().await;
    calls(&running, 7).await;
    assert!(running.terminate().await.success());
    assert_eq!(collector.request_spans(7).await.len(), 7);

    collector.server().always(MockResponse::never());
    let mut running = sidekey(&slow(&collector), &upstream).start().await;
    calls(&running, 1).await;
    assert!(running.terminate().await.success());
    assert_eq!(lines(&running, "the last spans could not be exported in time"), 1);

    // Nor does it wait for a collector with a long `Retry-After`.
    collector.server().always(MockResponse::status(429).header("Retry-After", "100"));
    let mut running = sidekey(&quick(&collector), &upstream).start().await;
    calls(&running, 1).await;
    running.logged_like("traces are not exported").await;
    assert!(running.terminate().await.success());
    assert_eq!(lines(&running, "the last spans could not be exported in time"), 0);
}

#[tokio::test]
async fn trace_export_follows_reload() {
    let (upstream, one, other) =
        (MockUpstream::plain().await, TraceCollector::start().await, TraceCollector::start().await);
    let sidekey = sidekey("", &upstream).start().await;
    // One connection over all reloads.
    let mut connection = sidekey.connect().await;
    let mut call = async || {
        connection.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(connection.response().await.status, 200);
        upstream.last_request().header("traceparent").is_some()
    };
    assert!(!call().await);
    for (collector, spans) in [(&one, 1), (&other, 1), (&one, 2)] {
        sidekey.reconfigure(&configuration(&quick(collector), &upstream));
        assert!(sidekey.reload().await);
        assert!(call().await);
        collector.request_spans(spans).await;
    }
    // Unchanged: the same exporter continues.
    assert!(sidekey.reload().await);
    assert!(call().await);
    one.request_spans(3).await;
    sidekey.reconfigure(&configuration("otlp_endpoint: nonsense", &upstream));
    assert!(!sidekey.reload().await);
    assert!(call().await, "an invalid configuration changes nothing");
    one.request_spans(4).await;
    sidekey.reconfigure(&configuration("", &upstream));
    assert!(sidekey.reload().await);
    assert!(!call().await);
    assert_eq!((one.spans().len(), other.spans().len()), (4, 1));
}

#[tokio::test]
async fn trace_export_sends_old_spans_to_the_old_collector() {
    let (upstream, one, other) =
        (MockUpstream::plain().await, TraceCollector::start().await, TraceCollector::start().await);
    let mut sidekey = sidekey(&slow(&one), &upstream).start().await;
    calls(&sidekey, 2).await;
    sidekey.reconfigure(&configuration(&slow(&other), &upstream));
    assert!(sidekey.reload().await);
    calls(&sidekey, 3).await;
    assert!(sidekey.terminate().await.success());
    one.request_spans(2).await;
    other.request_spans(3).await;
}

#[tokio::test]
async fn trace_export_verifies_tls_and_sends_headers() {
    let (upstream, pki) = (MockUpstream::plain().await, Pki::new());
    let collector = TraceCollector::on(MockUpstream::tls(&pki).await);
    let headers = "export_interval: 20ms, headers: { authorization: { file: $DIR/key } }";
    let trusting =
        format!("otlp_endpoint: '{}', {headers}, tls: {{ ca_file: $DIR/ca.pem }}", collector.url());
    let trusting = sidekey(&trusting, &upstream).file("key", "Api-Key k3y\n").file("ca.pem", &pki.ca_pem());
    let running = trusting.start().await;
    calls(&running, 1).await;
    collector.request_spans(1).await;
    assert_eq!(collector.server().last_request().header("authorization"), Some("Api-Key k3y"));
    // A new key is used for the next export.
    running.write("key", "Api-Key n3w");
    assert!(running.reload().await);
    calls(&running, 1).await;
    collector.request_spans(2).await;
    assert_eq!(collector.server().last_request().header("authorization"), Some("Api-Key n3w"));

    let doubting = format!("otlp_endpoint: '{}', {headers}", collector.url());
    let running = sidekey(&doubting, &upstream).file("key", "Api-Key k3y").start().await;
    calls(&running, 1).await;
    let told = running.logged_like("traces are not exported").await;
    assert!(told["message"].as_str().unwrap().contains("certificate"), "{told}");
    assert_eq!(collector.server().request_count(), 2);
}

#[tokio::test]
async fn trace_export_reads_otel_environment_variables() {
    let (upstream, collector) = (MockUpstream::plain().await, TraceCollector::start().await);
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=a%20b".into()),
        ("OTEL_SERVICE_NAME", "beside-billing".into()),
        ("OTEL_BSP_SCHEDULE_DELAY", "20".into()),
    ];
    let with = |builder: SidekeyBuilder| {
        variables.iter().fold(builder, |builder, (name, value)| builder.env(name, value))
    };
    let config = format!("tracing: {{}}\n{}", configuration("", &upstream));
    let running = with(Sidekey::configured(&config)).start().await;
    calls(&running, 1).await;
    collector.request_spans(1).await;
    assert_eq!(collector.server().only_request().header("x-key"), Some("a b"));
    let attributes = collector.exports()[0]["resourceSpans"][0]["resource"]["attributes"].clone();
    let service = json!({ "key": "service.name", "value": { "stringValue": "beside-billing" } });
    assert!(attributes.as_array().unwrap().contains(&service), "{attributes}");
    // The configuration's headers replace those of the environment.
    let own = config.replace("tracing: {}", "tracing: { headers: { x-own: c } }");
    running.reconfigure(&own);
    assert!(running.reload().await);
    calls(&running, 1).await;
    collector.request_spans(2).await;
    let request = collector.server().last_request();
    assert_eq!((request.header("x-own"), request.header("x-key")), (Some("c"), None));
    // The variables alone do not enable tracing.
    let mut running = with(sidekey("", &upstream)).start().await;
    calls(&running, 1).await;
    assert!(running.terminate().await.success());
    assert_eq!(collector.spans().len(), 2);
}
