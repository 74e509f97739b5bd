//! What a server must answer to frames that break RFC 9113 and RFC 7541, and to those that look as if they did.

use h2::Reason;

use super::frames::{settings, window_update};
use super::heads::head;
use crate::harness::flag::{ACK, END_HEADERS, END_STREAM, PADDED};
use crate::harness::{Frame, Frames, Gate, MockResponse, MockUpstream, flag, frame};
use crate::suite::http::setup::sidekey_for;

/// A whole request.
fn get(stream: u32) -> Vec<u8> {
    frame(Frame::HEADERS, END_STREAM | END_HEADERS, stream, &head("GET", &[]))
}

/// The beginning of a request with a body.
fn post(stream: u32) -> Vec<u8> {
    frame(Frame::HEADERS, END_HEADERS, stream, &head("POST", &[]))
}

fn reset(stream: u32) -> Vec<u8> {
    frame(Frame::RESET, 0, stream, &8_u32.to_be_bytes())
}

/// What is sent, and what the first GOAWAY or RST_STREAM frame says.
type Case = (&'static str, Vec<Vec<u8>>, Reason);

/// Sends each case on a connection of its own, to an upstream that does not respond. `kind` is that of the frame which is the
/// answer.
async fn assert_errors(kind: u8, cases: Vec<Case>) {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let sidekey = sidekey_for(&upstream).await;
    for (what, frames, reason) in cases {
        let mut connection = Frames::open(sidekey.address()).await;
        connection.send_bytes(&frames.concat()).await.unwrap();
        loop {
            let frame = connection.next().await.unwrap_or_else(|| panic!("{what}: closed without an error"));
            if matches!(frame.kind, Frame::GOAWAY | Frame::RESET) {
                break assert_eq!((frame.kind, frame.reason()), (kind, reason), "{what}");
            }
        }
        if kind == Frame::GOAWAY {
            while connection.next().await.is_some() {}
        } else {
            assert_is_alive(&mut connection, what).await;
        }
    }
}

/// Sends each case on a connection of its own, which must go on.
async fn assert_accepted(cases: Vec<(&'static str, Vec<Vec<u8>>)>) {
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::never());
    let sidekey = sidekey_for(&upstream).await;
    for (what, frames) in cases {
        let mut connection = Frames::open(sidekey.address()).await;
        connection.send_bytes(&frames.concat()).await.unwrap();
        assert_is_alive(&mut connection, what).await;
    }
}

/// Asserts that a PING is answered before the connection or a stream ends.
async fn assert_is_alive(connection: &mut Frames, what: &str) {
    connection.send(Frame::PING, 0, 0, b"is alive").await.unwrap();
    loop {
        let frame = connection.next().await.unwrap_or_else(|| panic!("{what}: closed"));
        assert!(!matches!(frame.kind, Frame::GOAWAY | Frame::RESET), "{what}: {frame:?}");
        if frame.kind == Frame::PING && frame.payload == b"is alive" {
            break assert_eq!(frame.flags, ACK, "{what}");
        }
    }
}

#[tokio::test]
async fn http2_frame_that_breaks_the_connection_ends_it() {
    let protocol = Reason::PROTOCOL_ERROR;
    let size = Reason::FRAME_SIZE_ERROR;
    let mut cases: Vec<Case> = vec![
        ("DATA on the connection", vec![frame(Frame::DATA, 0, 0, b"x")], protocol),
        ("DATA on an idle stream", vec![frame(Frame::DATA, 0, 1, b"x")], protocol),
        ("padding longer than DATA", vec![post(1), frame(Frame::DATA, PADDED, 1, b"\x02x")], protocol),
        ("DATA with a padding and no length", vec![post(1), frame(Frame::DATA, PADDED, 1, b"")], protocol),
        ("HEADERS on the connection", vec![get(0)], protocol),
        ("HEADERS on a stream of the server", vec![get(2)], protocol),
        ("HEADERS on a stream that has ended", vec![get(5), reset(5), get(5)], Reason::STREAM_CLOSED),
        ("HEADERS on a stream that was skipped", vec![get(5), get(3)], Reason::STREAM_CLOSED),
        (
            "padding longer than HEADERS",
            vec![frame(Frame::HEADERS, END_HEADERS | PADDED, 1, b"\x03\x82")],
            protocol,
        ),
        (
            "HEADERS with half a priority",
            vec![frame(Frame::HEADERS, END_HEADERS | flag::PRIORITY, 1, b"\0\0")],
            size,
        ),
        ("PRIORITY on the connection", vec![frame(Frame::PRIORITY, 0, 0, b"\0\0\0\x01\0")], protocol),
        ("RST_STREAM on the connection", vec![reset(0)], protocol),
        ("RST_STREAM on an idle stream", vec![reset(1)], protocol),
        ("RST_STREAM of another size", vec![get(1), frame(Frame::RESET, 0, 1, b"\0\0\0")], size),
        ("SETTINGS on a stream", vec![frame(Frame::SETTINGS, 0, 1, b"")], protocol),
        ("SETTINGS of another size", vec![frame(Frame::SETTINGS, 0, 0, b"\0\x03\0")], size),
        ("an acknowledgement with settings", vec![frame(Frame::SETTINGS, ACK, 0, &[0; 6])], size),
        ("ENABLE_PUSH of 2", vec![settings(2, 2)], protocol),
        ("a window of 2^31", vec![settings(4, 1 << 31)], Reason::FLOW_CONTROL_ERROR),
        ("frames of less than 2^14", vec![settings(5, (1 << 14) - 1)], protocol),
        ("frames of 2^24", vec![settings(5, 1 << 24)], protocol),
        (
            "PUSH_PROMISE",
            vec![get(1), frame(Frame::PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\x02\x82")],
            protocol,
        ),
        ("PING on a stream", vec![frame(Frame::PING, 0, 1, &[0; 8])], protocol),
        ("PING of another size", vec![frame(Frame::PING, 0, 0, &[0; 6])], size),
        ("GOAWAY on a stream", vec![frame(Frame::GOAWAY, 0, 1, &[0; 8])], protocol),
        ("GOAWAY of another size", vec![frame(Frame::GOAWAY, 0, 0, &[0; 7])], size),
        ("WINDOW_UPDATE of 0", vec![window_update(0, 0)], protocol),
        ("WINDOW_UPDATE on an idle stream", vec![window_update(1, 1)], protocol),
        ("WINDOW_UPDATE of another size", vec![frame(Frame::WINDOW_UPDATE, 0, 0, b"\0\0\x01")], size),
        ("a window above 2^31", vec![window_update(0, (1 << 31) - 1)], Reason::FLOW_CONTROL_ERROR),
        (
            "CONTINUATION on an idle stream",
            vec![frame(Frame::CONTINUATION, END_HEADERS, 1, b"\x82")],
            protocol,
        ),
        (
            "CONTINUATION on the connection",
            vec![frame(Frame::CONTINUATION, END_HEADERS, 0, b"\x82")],
            protocol,
        ),
        ("a frame above 2^15", vec![get(1), frame(Frame::DATA, 0, 1, &[0; (1 << 15) + 1])], size),
    ];
    let open = frame(Frame::HEADERS, END_STREAM, 1, &head("GET", &[]));
    let complete = frame(Frame::CONTINUATION, END_HEADERS, 1, b"");
    for (what, next) in [
        ("DATA within a field block", frame(Frame::DATA, 0, 1, b"x")),
        ("HEADERS within a field block", get(1)),
        ("HEADERS of another stream within a field block", get(3)),
        ("PRIORITY within a field block", frame(Frame::PRIORITY, 0, 1, b"\0\0\0\x05\0")),
        ("PING within a field block", frame(Frame::PING, 0, 0, &[0; 8])),
        ("an unknown frame within a field block", frame(0xee, 0, 1, b"x")),
        ("CONTINUATION of another stream", frame(Frame::CONTINUATION, END_HEADERS, 3, b"")),
        ("CONTINUATION behind a field block", [&complete[..], &complete].concat()),
    ] {
        cases.push((what, vec![open.clone(), next], protocol));
    }
    // `:method: GET` and others, with something behind them that RFC 7541 does not allow.
    for (what, end) in [
        ("the index 0", &b"\x80"[..]),
        ("an index without an entry", b"\xbe"),
        ("a name without an entry", b"\x7e\x01x"),
        ("a number without end", b"\xff\xff\xff\xff\xff\xff"),
        ("a string that is cut", b"\x00\x01x\x05abc"),
        ("Huffman padding of more than seven bits", b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
        ("Huffman padding with zeros", b"\x00\x83\x49\x50\x90\x83\x49\x50\x9f"),
        ("the end of a Huffman string", b"\x00\x84\xff\xff\xff\xff\x01x"),
        ("a size of the table behind a field", b"\x20"),
    ] {
        let block = [&head("GET", &[])[..], end].concat();
        let frames = vec![frame(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &block)];
        cases.push((what, frames, Reason::COMPRESSION_ERROR));
    }
    let larger = [b"\x3f\xe2\x1f", &head("GET", &[])[..]].concat();
    let larger = frame(Frame::HEADERS, END_STREAM | END_HEADERS, 1, &larger);
    cases.push(("a size of the table above its limit", vec![larger], Reason::COMPRESSION_ERROR));
    assert_errors(Frame::GOAWAY, cases).await;
}

#[tokio::test]
async fn http2_frame_that_breaks_a_stream_resets_it() {
    let closed = Reason::STREAM_CLOSED;
    let itself = b"\0\0\0\x01\0";
    let dependent = [&itself[..], &head("GET", &[])].concat();
    assert_errors(
        Frame::RESET,
        vec![
            ("DATA behind the end of a request", vec![get(1), frame(Frame::DATA, 0, 1, b"x")], closed),
            ("HEADERS behind the end of a request", vec![get(1), get(1)], closed),
            (
                "DATA on a stream that the caller has reset",
                vec![post(1), reset(1), frame(Frame::DATA, 0, 1, b"x")],
                closed,
            ),
            ("trailers without the end of the request", vec![post(1), post(1)], Reason::PROTOCOL_ERROR),
            ("WINDOW_UPDATE of 0", vec![get(1), window_update(1, 0)], Reason::PROTOCOL_ERROR),
            (
                "a window above 2^31",
                vec![get(1), window_update(1, (1 << 31) - 1)],
                Reason::FLOW_CONTROL_ERROR,
            ),
            (
                "HEADERS that depend on themselves",
                vec![frame(Frame::HEADERS, END_STREAM | END_HEADERS | flag::PRIORITY, 1, &dependent)],
                Reason::PROTOCOL_ERROR,
            ),
            (
                "PRIORITY that depends on itself",
                vec![get(1), frame(Frame::PRIORITY, 0, 1, itself)],
                Reason::PROTOCOL_ERROR,
            ),
            (
                "PRIORITY of another size",
                vec![get(1), frame(Frame::PRIORITY, 0, 1, b"\0\0\0\0")],
                Reason::FRAME_SIZE_ERROR,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn http2_frame_that_only_looks_wrong_is_accepted() {
    let padded = [&[3][..], &head("GET", &[]), &[0; 3]].concat();
    let priority = [b"\0\0\0\x09\0", &head("GET", &[])[..]].concat();
    let (start, rest) = (&head("GET", &[])[..1], &head("GET", &[])[1..]);
    assert_accepted(vec![
        ("unknown frames", vec![frame(0xee, 0xff, 0, b"x"), frame(0xef, 0, 7, b"")]),
        ("unknown flags", vec![frame(Frame::PING, 0x16, 0, b"12345678")]),
        (
            "a reserved bit",
            vec![frame(Frame::PING, 0, 1 << 31, b"12345678"), window_update(1 << 31, 1 << 31 | 1)],
        ),
        ("unknown settings", vec![settings(0xffff, 7), settings(9, 1)]),
        ("an acknowledgement of no settings", vec![frame(Frame::SETTINGS, ACK, 0, b"")]),
        ("a PING that is an answer", vec![frame(Frame::PING, ACK, 0, b"12345678")]),
        (
            "an answer to the PING of a drain that is none",
            vec![frame(Frame::PING, ACK, 0, b"drained?"), get(1)],
        ),
        ("PRIORITY on an idle stream", vec![frame(Frame::PRIORITY, 0, 5, b"\0\0\0\x03\0")]),
        ("padding", vec![frame(Frame::HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &padded)]),
        ("a priority", vec![frame(Frame::HEADERS, END_STREAM | END_HEADERS | flag::PRIORITY, 1, &priority)]),
        (
            "a field block in pieces",
            vec![
                frame(Frame::HEADERS, END_STREAM, 1, start),
                frame(Frame::CONTINUATION, 0, 1, b""),
                frame(Frame::CONTINUATION, END_HEADERS, 1, rest),
            ],
        ),
        ("RST_STREAM twice", vec![get(1), reset(1), reset(1)]),
        ("WINDOW_UPDATE behind RST_STREAM", vec![get(1), reset(1), window_update(1, 1)]),
        ("streams that are skipped", vec![get(1), get(101)]),
        (
            "a window that becomes negative",
            vec![get(1), settings(4, 0), settings(4, (1 << 31) - 1), settings(4, 0)],
        ),
        ("an empty DATA frame", vec![post(1), frame(Frame::DATA, 0, 1, b"")]),
        (
            "GOAWAY, and the rest of a request",
            vec![post(1), frame(Frame::GOAWAY, 0, 0, &[0; 8]), frame(Frame::DATA, 1, 1, b"x")],
        ),
    ])
    .await;
}

#[tokio::test]
async fn http2_connection_that_does_not_begin_with_settings_ends() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for first in [get(1), frame(Frame::SETTINGS, ACK, 0, b""), frame(Frame::PING, 0, 0, &[0; 8])] {
        let mut frames = Frames::bare(sidekey.address()).await;
        frames.send_bytes(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &first[..]].concat()).await.unwrap();
        assert_eq!(frames.until(Frame::GOAWAY).await.expect("a reason").reason(), Reason::PROTOCOL_ERROR);
    }
    let mut frames = Frames::bare(sidekey.address()).await;
    frames.send_bytes(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").await.unwrap();
    assert_eq!(frames.until(Frame::GOAWAY).await.expect("a reason").reason(), Reason::PROTOCOL_ERROR);
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn http2_content_beyond_the_window_is_a_flow_control_error() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("x").delayed_until(&gate));
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    // A length of which the last byte never comes: what is read of the body stays in Sidekey. The upstream's socket takes some.
    frames.send_bytes(&post(1)).await.unwrap();
    let piece = frame(Frame::DATA, 0, 1, &[b'x'; 16 * 1024]);
    for _ in 0..4096 {
        if frames.send_bytes(&piece).await.is_err() {
            break;
        }
    }
    let end = loop {
        let frame = frames.next().await.expect("an error");
        if matches!(frame.kind, Frame::GOAWAY | Frame::RESET) {
            break frame.reason();
        }
    };
    assert_eq!(end, Reason::FLOW_CONTROL_ERROR);
    gate.open();
}

#[tokio::test]
async fn http2_response_stays_within_the_windows_and_frames_of_the_caller() {
    const LENGTH: usize = 300_000;
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::ok(vec![b'x'; LENGTH]));
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send_bytes(&[settings(4, 1000), get(1)].concat()).await.unwrap();
    let (mut window, mut connection_window, mut received) = (1000_usize, 65_535_usize, 0);
    loop {
        while received < LENGTH && window.min(connection_window) > 0 {
            let frame = frames.until(Frame::DATA).await.expect("content");
            assert!(frame.payload.len() <= 16 * 1024 && frame.payload.len() <= window.min(connection_window));
            received += frame.payload.len();
            window -= frame.payload.len();
            connection_window -= frame.payload.len();
            if frame.flags & END_STREAM != 0 {
                assert_eq!(received, LENGTH);
                return;
            }
        }
        if window == 0 {
            frames.send_bytes(&window_update(1, 20_000)).await.unwrap();
            window += 20_000;
        } else {
            frames.send_bytes(&window_update(0, 70_000)).await.unwrap();
            connection_window += 70_000;
        }
    }
}

#[tokio::test]
async fn http2_window_of_the_connection_is_shared_in_turns() {
    const STREAMS: u32 = 8;
    let upstream = MockUpstream::plain().await;
    upstream.always(MockResponse::ok(vec![b'x'; 1 << 20]));
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send_bytes(&settings(4, 1 << 24)).await.unwrap();
    for number in 0..STREAMS {
        frames.send_bytes(&get(2 * number + 1)).await.unwrap();
    }
    // The first window is for those that came first. When each has its head, all wait.
    let (mut window, mut heads) = (65_535, 0);
    while window > 0 || heads < STREAMS {
        let frame = frames.next().await.expect("a frame");
        match frame.kind {
            Frame::DATA => window -= frame.payload.len(),
            Frame::HEADERS => heads += 1,
            _ => {}
        }
    }
    let mut received = [0; STREAMS as usize];
    for _ in 0..20 {
        frames.send_bytes(&window_update(0, 65_536)).await.unwrap();
        window += 65_536;
        while window > 0 {
            let frame = frames.until(Frame::DATA).await.expect("content");
            window -= frame.payload.len();
            received[(frame.stream / 2) as usize] += frame.payload.len();
        }
    }
    let (least, most) = (received.iter().min().unwrap(), received.iter().max().unwrap());
    assert!(most - least <= 65_536, "{received:?}");
}

#[tokio::test]
async fn http2_burst_of_pings_is_answered_completely() {
    // More than is buffered, in both directions.
    const COUNT: usize = 8000;
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send_bytes(&frame(Frame::PING, 0, 0, b"12345678").repeat(COUNT)).await.unwrap();
    for number in 0..COUNT {
        let answer = frames.until(Frame::PING).await.unwrap_or_else(|| panic!("no answer to ping {number}"));
        assert_eq!((answer.flags, &answer.payload[..]), (ACK, &b"12345678"[..]));
    }
}

#[tokio::test]
async fn http2_caller_without_a_dynamic_table_is_told_that_it_is_empty() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut frames = Frames::open(sidekey.address()).await;
    frames.send_bytes(&[settings(1, 0), get(1)].concat()).await.unwrap();
    let first = frames.until(Frame::HEADERS).await.expect("a response");
    assert_eq!(first.payload.first(), Some(&0x20), "a size of 0");
    frames.send_bytes(&get(3)).await.unwrap();
    assert_eq!(frames.until(Frame::HEADERS).await.expect("a response").payload.first(), Some(&0x88));
}
