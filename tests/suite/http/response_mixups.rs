//! Many concurrent callers, some of which misbehave, and an upstream that misbehaves now and then: each
//! response is the one to the caller's own request.

use std::sync::Arc;

use super::setup::{Wire, sidekey_for, wait_until_idle};
use crate::harness::{Connection, MockResponse, MockUpstream, RecordedRequest, Sidekey};

const CALLERS: usize = 24;
const ROUNDS: usize = 25;

/// Echoes the request, in one of several forms that end the connection cleanly or not.
fn answer(request: &RecordedRequest) -> MockResponse {
    let said = format!("{} {}", request.target, request.text());
    match fastrand::u8(..12) {
        0 => MockResponse::ok(said).close(),
        1 => MockResponse::ok(said).close_silently(),
        2 => MockResponse::ok(said).until_closed(),
        3 => MockResponse::ok(said).cut_at(3),
        4 => MockResponse::close_unanswered(),
        5 => MockResponse::reset(),
        6 => MockResponse::ok(said).chunked(3).trailer("X-Sum", "1"),
        7 => MockResponse::ok(said).after_informational("103 Early Hints"),
        8 => MockResponse::raw("garbage\r\n\r\n"),
        _ => MockResponse::ok(said),
    }
}

fn request(caller: usize, round: usize) -> (String, String) {
    let (path, body) = (format!("/{caller}/{round}"), format!("body-{caller}-{round}"));
    let head = |rest: &str| format!("POST /api{path} HTTP/1.1\r\nHost: localhost\r\n{rest}");
    let bytes = if fastrand::bool() {
        head(&format!("Content-Length: {}\r\n\r\n{body}", body.len()))
    } else {
        head(&format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()))
    };
    (bytes, format!("{path} {body}"))
}

async fn well_behaved(sidekey: Arc<Sidekey>, caller: usize) -> usize {
    let mut answered = 0;
    let mut client = sidekey.connect().await;
    for round in 0..ROUNDS {
        let (bytes, expected) = request(caller, round);
        client.send(bytes).await;
        let response = client.response_to("POST").await.expect("a response, if only half of one");
        let closed = !response.complete || response.header("connection") == Some("close");
        match response.sidekey_error() {
            Some(reason) => assert_eq!(reason, "upstream_protocol"),
            None if response.complete => {
                assert_eq!(response.text(), expected);
                answered += 1;
            }
            None => assert!(expected.starts_with(&response.text()), "{:?}", response.text()),
        }
        if closed {
            client = Connection::open(sidekey.address()).await;
        }
    }
    answered
}

/// Disconnects in the middle of its request, or without waiting for the response.
async fn ill_behaved(sidekey: Arc<Sidekey>, caller: usize) {
    for round in 0..ROUNDS {
        let (bytes, _) = request(caller, round);
        let sent = fastrand::usize(1..=bytes.len());
        let mut client = Wire::to(&sidekey).await;
        client.send(&bytes[..sent]).await;
        if fastrand::bool() {
            client.reset();
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_are_never_mixed_up_between_callers() {
    let upstream = MockUpstream::plain().await;
    upstream.respond_with(answer);
    let sidekey = Arc::new(sidekey_for(&upstream).await);
    let good: Vec<_> =
        (0..CALLERS).map(|caller| tokio::spawn(well_behaved(sidekey.clone(), caller))).collect();
    let bad: Vec<_> =
        (CALLERS..CALLERS + 8).map(|caller| tokio::spawn(ill_behaved(sidekey.clone(), caller))).collect();
    let mut answered = 0;
    for caller in good {
        answered += caller.await.unwrap();
    }
    for caller in bad {
        caller.await.unwrap();
    }
    assert!(answered > CALLERS * ROUNDS / 3, "{answered}");
    wait_until_idle(&sidekey).await;
}
