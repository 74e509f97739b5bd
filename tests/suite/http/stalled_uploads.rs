//! Responses to uploads that stall because the upstream does not read: no byte of the body is lost or counted
//! twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinHandle;

use super::setup::{RawServer, Wire, sidekey_for_url};
use crate::harness::{TIMEOUT, assert_eventually};

/// More than all the buffers between the caller and the upstream hold.
const LENGTH: usize = 32 * 1024 * 1024;

/// Starts an upload and returns once it has stalled because the upstream does not read.
async fn stalled_upload(wire: Wire, head: &str) -> (OwnedReadHalf, JoinHandle<OwnedWriteHalf>) {
    let (reading, mut writing) = wire.into_stream().into_split();
    let sent = Arc::new(AtomicUsize::new(0));
    let (counter, head) = (sent.clone(), head.to_owned());
    let upload = tokio::spawn(async move {
        writing.write_all(head.as_bytes()).await.unwrap();
        let piece = vec![b'x'; 8 * 1024];
        for _ in 0..LENGTH / piece.len() {
            if writing.write_all(&piece).await.is_err() {
                break;
            }
            counter.fetch_add(piece.len(), Ordering::SeqCst);
        }
        writing
    });
    let (mut last, mut still) = (0, 0);
    assert_eventually(TIMEOUT, "the upload has stalled", async || {
        let now = sent.load(Ordering::SeqCst);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
        still > 10
    })
    .await;
    (reading, upload)
}

async fn read_until(reading: &mut OwnedReadHalf, end: &str) -> String {
    let mut read = Vec::new();
    while !read.ends_with(end.as_bytes()) {
        let got = tokio::time::timeout(TIMEOUT, reading.read_buf(&mut read)).await.expect("bytes in time");
        assert_ne!(got.unwrap(), 0, "closed after {:?}", String::from_utf8_lossy(&read));
    }
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn stalled_upload_is_complete_after_interim_response() {
    let server = RawServer::with_small_buffers();
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let head = format!("POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n");
    let wire = Wire::to(&sidekey).await;
    let ((mut upstream, _), (mut reading, upload)) =
        tokio::join!(server.accept_request(), stalled_upload(wire, &head));

    upstream.send("HTTP/1.1 103 Early Hints\r\n\r\n").await;
    read_until(&mut reading, "103 Early Hints\r\n\r\n").await;
    upstream.count(LENGTH).await;
    upstream.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    assert!(read_until(&mut reading, "\r\n\r\nok").await.starts_with("HTTP/1.1 200"));

    // The next request on both connections is read as a request, not as a rest of the upload.
    let mut writing = upload.await.unwrap();
    writing.write_all(b"GET /api/next HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let head = tokio::time::timeout(Duration::from_secs(20), upstream.until("\r\n\r\n")).await.unwrap();
    assert!(head.starts_with("GET /next "), "{head}");
}

#[tokio::test]
async fn final_response_to_stalled_upload_closes_connections() {
    let server = RawServer::with_small_buffers();
    let sidekey = sidekey_for_url(&server.url(), "").await;
    let head = format!("POST /api/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LENGTH}\r\n\r\n");
    let wire = Wire::to(&sidekey).await;
    let ((mut upstream, _), (mut reading, _upload)) =
        tokio::join!(server.accept_request(), stalled_upload(wire, &head));

    upstream.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n").await;
    let answer = read_until(&mut reading, "\r\n\r\n").await;
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    let mut more = Vec::new();
    let _ = tokio::time::timeout(TIMEOUT, reading.read_to_end(&mut more)).await.expect("it is closed");
    assert_eq!(more, b"");
    assert!(!upstream.rest().await.contains("HTTP/1.1"));
}
