//! A request is found by one identifier in the caller's answer, in the line of its failure and in the access log.

use serde_json::Value;

use crate::harness::{
    MockResponse, MockUpstream, RefusingPort, Request, Response, Sidekey, TIMEOUT, Version, assert_eventually,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

async fn start(upstream: &MockUpstream, refusing: &RefusingPort) -> Sidekey {
    let bearer = "auth: { type: bearer, token: t0ken }";
    Sidekey::serving(&format!(
        "api: {{ upstream: '{0}', {bearer} }}\n\
         down: {{ upstream: 'http://{1}', {bearer} }}\n\
         ruled: {{ upstream: '{0}', allow: ['GET /allowed'], {bearer} }}\n\
         own: {{ upstream: 'http://{1}', auth: {{ type: api_key, name: X-Request-Id, value: CREDENTIAL }} }}\n\
         bare: {{ upstream: '{0}', token_wait: 10ms, readiness: never, auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: 'http://{1}/token', client_id: c, client_secret: s3cret }} }}",
        upstream.url(),
        refusing.address,
    ))
    .start()
    .await
}

fn id(response: &Response) -> String {
    response.json()["request_id"].as_str().unwrap_or_else(|| panic!("{}", response.text())).to_owned()
}

/// The messages of the events with this identifier, cut at the cause; the last one is the line of the access log.
async fn messages(sidekey: &Sidekey, id: &str) -> Vec<String> {
    let mut messages = Vec::new();
    assert_eventually(TIMEOUT, "the access log has it", async || {
        let events = sidekey.events().into_iter().filter(|event| event["request.id"] == id);
        let message = |event: Value| event["message"].as_str().unwrap().split(':').next().unwrap().to_owned();
        messages = events.map(message).collect();
        messages.last().is_some_and(|last| last == "request")
    })
    .await;
    messages
}

#[tokio::test]
async fn request_id_of_the_caller_is_in_answer_failure_line_and_access_log() {
    let (upstream, refusing) = (MockUpstream::plain().await, RefusingPort::new());
    let sidekey = start(&upstream, &refusing).await;
    for version in [Version::Http1, Version::Http2] {
        for (path, line) in [
            ("/down/x", "request failed"),
            ("/bare/x", "request refused"),
            ("/ruled/x", "request refused"),
            ("/unknown/x", "request refused"),
        ] {
            let sent = format!("{path}-{version:?}").replace('/', "-");
            let request = Request::get(sidekey.url(path)).by(version).header("X-Request-Id", &sent);
            assert_eq!(id(&request.send().await), sent);
            assert_eq!(messages(&sidekey, &sent).await, [line, "request"], "{sent}");
        }
    }
    // A request that succeeds is in the access log with it, and the upstream gets it.
    Request::get(sidekey.url("/api/x")).header("X-Request-Id", "good").send().await;
    assert_eq!(messages(&sidekey, "good").await, ["request"]);
    assert_eq!(upstream.only_request().header("x-request-id"), Some("good"));
}

#[tokio::test]
async fn request_without_id_is_known_by_its_trace_or_by_a_new_id() {
    let (upstream, refusing) = (MockUpstream::plain().await, RefusingPort::new());
    let sidekey = start(&upstream, &refusing).await;
    let traced = Request::get(sidekey.url("/down/x"))
        .header("traceparent", &format!("00-{TRACE}-b7ad6b7169203331-00"));
    assert_eq!(id(&traced.send().await), TRACE);
    assert_eq!(messages(&sidekey, TRACE).await, ["request failed", "request"]);

    let [one, other] = [id(&sidekey.get("/down/x").await), id(&sidekey.get("/down/x").await)];
    assert_ne!(one, other);
    for made in [one, other] {
        assert_eq!(messages(&sidekey, &made).await, ["request failed", "request"]);
    }
    sidekey.get("/api/x").await;
    let served = |event: &Value| event["message"] == "request" && event["sidekey.service"] == "api";
    assert_eventually(TIMEOUT, "it is in the access log", async || sidekey.events().iter().any(served)).await;
    let served = sidekey.events().into_iter().find(served).unwrap();
    assert_eq!(served["request.id"], Value::Null);
}

#[tokio::test]
async fn request_id_is_never_the_credential_or_one_of_the_upstream() {
    let (upstream, refusing) = (MockUpstream::plain().await, RefusingPort::new());
    let sidekey = start(&upstream, &refusing).await;
    let answer = Request::get(sidekey.url("/own/x")).header("X-Request-Id", "mine").send().await;
    assert!(!answer.text().contains("CREDENTIAL") && !sidekey.log().contains("CREDENTIAL"));
    upstream.next(MockResponse::raw("HTTP/1.1 2OO OK\r\nX-Request-Id: theirs\r\n\r\n"));
    let answer = Request::get(sidekey.url("/api/x")).header("X-Request-Id", "mine").send().await;
    assert_eq!((answer.status, id(&answer)), (502, "mine".to_owned()));
}
