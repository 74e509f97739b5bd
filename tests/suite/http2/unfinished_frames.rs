//! Callers in HTTP/2 that begin a frame or a head, and do not complete it.

use std::time::Duration;

use h2::Reason;
use tokio::time::timeout;

use super::heads::head;
use crate::harness::flag::{END_HEADERS, END_STREAM};
use crate::harness::{Frame, Frames, MockResponse, MockUpstream, Sidekey, fields, frame};
use crate::suite::http::setup::wait_until_idle;

/// With a limit for heads that a test can wait for. `keep_alive` has its default, which is longer than tests wait.
async fn sidekey_with_short_head_timeout(upstream: &MockUpstream) -> Sidekey {
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\ndownstream_timeouts: {{ head: 300ms }}\nservices:\n  \
         api: {{ upstream: '{}', auth: {{ type: bearer, token: t0ken }} }}\n",
        upstream.url()
    );
    Sidekey::configured(&config).start().await
}

/// Opens a connection, with a stream that waits for its response if `has_stream`.
async fn connection(sidekey: &Sidekey, has_stream: bool) -> Frames {
    let mut frames = Frames::open(sidekey.address()).await;
    if has_stream {
        frames.send(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &head("GET", &[])).await.unwrap();
    }
    frames
}

#[tokio::test]
async fn http2_head_that_is_not_complete_in_time_ends_the_connection() {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let sidekey = sidekey_with_short_head_timeout(&upstream).await;
    let whole = frame(Frame::HEADERS, END_STREAM | END_HEADERS, 3, &head("GET", &[]));
    let cases = [
        ("a field block", true, frame(Frame::HEADERS, END_STREAM, 3, &head("GET", &[]))),
        ("a field block", false, frame(Frame::HEADERS, END_STREAM, 3, &head("GET", &[]))),
        ("a frame of a head", true, whole[..20].to_vec()),
        ("a frame of a head", false, whole[..20].to_vec()),
        ("the header of a frame", false, whole[..2].to_vec()),
        ("another frame", false, frame(Frame::PING, 0, 0, &[7; 8])[..12].to_vec()),
    ];
    for (what, has_stream, bytes) in cases {
        let mut frames = connection(&sidekey, has_stream).await;
        frames.send_bytes(&bytes).await.unwrap();
        let goaway = frames.until(Frame::GOAWAY).await.unwrap_or_else(|| panic!("{what}: no GOAWAY"));
        assert_eq!(goaway.reason(), Reason::NO_ERROR, "{what}, {has_stream}");
    }
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn http2_head_that_comes_in_many_parts_has_one_time_limit() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_with_short_head_timeout(&upstream).await;
    let mut frames = connection(&sidekey, false).await;
    frames.send(Frame::HEADERS, END_STREAM, 1, &head("GET", &[])).await.unwrap();
    let goaway = loop {
        // Fails after the end of the connection, which says why.
        let _ = frames.send(Frame::CONTINUATION, 0, 1, &fields(&[("x", "y")])).await;
        if let Ok(frame) = timeout(Duration::from_millis(100), frames.until(Frame::GOAWAY)).await {
            break frame.expect("a GOAWAY before the end");
        }
    };
    assert_eq!(goaway.reason(), Reason::NO_ERROR, "the limit on the number of frames was reached first");
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn http2_connection_goes_on_after_a_head_in_parts() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_with_short_head_timeout(&upstream).await;
    let mut frames = connection(&sidekey, false).await;
    for stream in [1, 3, 5] {
        let whole = frame(Frame::HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", &[]));
        let (first, second) = whole.split_at(whole.len() / 2);
        frames.send_bytes(first).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        frames.send_bytes(second).await.unwrap();
        assert_eq!(frames.until(Frame::HEADERS).await.expect("a response").stream, stream);
        // Longer than the limit: it does not run while nothing is unfinished.
        tokio::time::sleep(Duration::from_millis(350)).await;
    }
}
