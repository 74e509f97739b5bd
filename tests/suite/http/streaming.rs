//! Bodies are streamed in both directions at once, in constant memory.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::setup::{RawServer, Wire, sidekey_for, sidekey_for_url};
use crate::harness::{Gate, MockResponse, MockUpstream, Sidekey, TIMEOUT, assert_eventually};

#[tokio::test]
async fn response_stream_passes_each_event_at_once() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for form in [
        |answer: MockResponse| answer,
        |answer: MockResponse| answer.chunked(9),
        |answer: MockResponse| answer.until_closed(),
    ] {
        let gate = Gate::closed();
        let events = "data: 1\n\ndata: 2\n\n";
        // The end of the first event, with its chunk framing if the body is chunked.
        let first = form(MockResponse::ok(events).header("Content-Type", "text/event-stream"));
        let position = if format!("{first:?}").contains("Chunked") { 14 } else { 9 };
        upstream.next(first.body_held_at(position, &gate));
        let mut client = Wire::to(&sidekey).await;
        client.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
        client.until("data: 1\n\n").await;
        gate.open();
        assert!(client.rest().await.contains("data: 2\n\n"));
    }
}

#[tokio::test]
async fn request_body_is_streamed_to_upstream() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    for (fields, first, rest) in [
        ("Content-Length: 10", "hello", "world"),
        ("Transfer-Encoding: chunked", "5\r\nhello\r\n", "5\r\nworld\r\n0\r\n\r\n"),
    ] {
        let mut client = sidekey.connect().await;
        client.send(format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n\r\n")).await;
        client.send(first).await;
        let there = async || upstream.requests().last().is_some_and(|request| request.text() == "hello");
        assert_eventually(TIMEOUT, "the first half is there", there).await;
        client.send(rest).await;
        assert_eq!(client.response().await.status, 200);
        assert_eq!(upstream.last_request().text(), "helloworld");
    }
}

#[tokio::test]
async fn response_may_start_before_request_ends() {
    for (head, first, second, end) in [
        ("Transfer-Encoding: chunked\r\n", "3\r\none\r\n", "3\r\ntwo\r\n", "0\r\n\r\n"),
        ("Content-Length: 6\r\n", "one", "two", ""),
        ("", "one", "two", ""),
    ] {
        let server = RawServer::new().await;
        let sidekey = sidekey_for_url(&server.url(), "").await;
        let mut client = Wire::to(&sidekey).await;
        client
            .send("POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
            .await;
        let (mut upstream, _) = server.accept_request().await;
        upstream.until("one\r\n").await;
        upstream.send(format!("HTTP/1.1 200 OK\r\n{head}\r\n{first}")).await;
        client.until("one").await;
        client.send("3\r\ntwo\r\n").await;
        upstream.until("two\r\n").await;
        client.send("0\r\nX-Sum: 2\r\n\r\n").await;
        upstream.until("X-Sum: 2\r\n\r\n").await;
        upstream.send(format!("{second}{end}")).await;
        upstream.finish().await;
        client.until("two").await;
    }
}

fn resident_megabytes(sidekey: &Sidekey) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", sidekey.process_id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() / 1024
}

#[tokio::test]
async fn large_bodies_pass_both_ways_in_constant_memory() {
    const LENGTH: usize = 200 * 1024 * 1024;
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let client = Wire::to(&sidekey).await;
    let echo = async {
        let (wire, head) = server.accept_request().await;
        assert!(head.contains(&format!("Content-Length: {LENGTH}\r\n")));
        let begun = wire.left().len();
        let (mut reading, mut writing) = wire.into_stream().into_split();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n{}", "x".repeat(begun));
        writing.write_all(answer.as_bytes()).await.unwrap();
        tokio::io::copy(&mut reading, &mut writing).await.unwrap();
    };
    let before = resident_megabytes(&sidekey);
    let (mut reading, mut writing) = client.into_stream().into_split();
    let upload = async {
        let head = format!("POST /api/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n");
        writing.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 256 * 1024];
        for _ in 0..LENGTH / piece.len() {
            writing.write_all(&piece).await.unwrap();
        }
    };
    let download = async {
        let mut piece = vec![0; 256 * 1024];
        let (mut seen, mut others) = (0, 0);
        loop {
            let read = reading.read(&mut piece).await.unwrap();
            if read == 0 {
                break (seen, others);
            }
            seen += read;
            others += piece[..read].iter().filter(|byte| **byte != b'x').count();
            if seen > LENGTH {
                break (seen, others);
            }
        }
    };
    let ((seen, others), ()) = tokio::select! {
        both = async { tokio::join!(download, upload) } => both,
        () = async { echo.await; std::future::pending().await } => unreachable!(),
    };
    // All of the body, and nothing else except the head.
    assert!(seen - others >= LENGTH && others < 500, "{seen} {others}");
    let grown = resident_megabytes(&sidekey) - before;
    assert!(grown < 10, "{grown} MB for {} MB", LENGTH / 1024 / 1024);
}

#[tokio::test]
async fn response_reaches_caller_during_endless_upload() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let client = Wire::to(&sidekey).await.into_stream();
    let (mut reading, mut writing) = client.into_split();
    writing
        .write_all(b"POST /api/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await
        .unwrap();
    let (mut upstream, _) = server.accept_request().await;
    // Waits for nothing but buffer space.
    let uploading = tokio::spawn(async move { while writing.write_all(b"4\r\nmore\r\n").await.is_ok() {} });
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
    let draining = tokio::spawn(async move { upstream.rest().await });
    let mut answer = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, async {
        while !answer.ends_with(b"early") {
            assert_ne!(reading.read_buf(&mut answer).await.unwrap(), 0);
        }
    });
    read.await.expect("the response, while the upload goes on");
    uploading.abort();
    draining.abort();
}
