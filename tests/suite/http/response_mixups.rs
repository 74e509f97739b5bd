//! Many concurrent callers, some of which misbehave, and an upstream that misbehaves now and then: each
//! response is the one to the caller's own request.

use std::sync::Arc;

use super::setup::{Wire, at_rest, before};
use crate::harness::{Answer, Connection, Request, Sidekey, Upstream};

const CALLERS: usize = 24;
const ROUNDS: usize = 25;

/// Echoes the request, in one of several forms that end the connection cleanly or not.
fn answer(request: &Request) -> Answer {
    let said = format!("{} {}", request.target, request.text());
    match fastrand::u8(..12) {
        0 => Answer::ok(said).close(),
        1 => Answer::ok(said).close_silently(),
        2 => Answer::ok(said).until_closed(),
        3 => Answer::ok(said).cut_at(3),
        4 => Answer::close_unanswered(),
        5 => Answer::reset(),
        6 => Answer::ok(said).chunked(3).trailer("X-Sum", "1"),
        7 => Answer::ok(said).after_informational("103 Early Hints"),
        8 => Answer::raw("garbage\r\n\r\n"),
        _ => Answer::ok(said),
    }
}

fn request(caller: usize, round: usize) -> (String, String) {
    let (path, body) = (format!("/{caller}/{round}"), format!("body-{caller}-{round}"));
    let head = |rest: &str| format!("POST /api{path} HTTP/1.1\r\nHost: x\r\n{rest}");
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
    let upstream = Upstream::plain().await;
    upstream.answer_with(answer);
    let sidekey = Arc::new(before(&upstream).await);
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
    at_rest(&sidekey).await;
}
