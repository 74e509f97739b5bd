//! An HTTP/2 upstream that the test plays, frame by frame.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::harness::flag::{END_HEADERS, END_STREAM};
use crate::harness::{Frame, Frames, Request, Sidekey, fields};
use crate::suite::http::setup::sidekey_with_one_worker;

/// A server that the test plays, frame by frame.
pub struct FrameServer(TcpListener);

impl FrameServer {
    pub async fn behind_sidekey(more: &str) -> (Self, Sidekey) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sidekey = sidekey_with_one_worker(&url, &format!(", protocol: http2{more}")).await;
        (Self(listener), sidekey)
    }

    pub async fn accept(&self) -> Frames {
        let accepting = tokio::time::timeout(Duration::from_secs(20), self.0.accept());
        let (stream, _): (TcpStream, _) = accepting.await.expect("a connection in time").unwrap();
        Frames::accepted(stream).await
    }
}

/// Sends `200` with this body on a stream.
pub async fn respond(frames: &mut Frames, stream: u32, body: &str) {
    frames.send(Frame::HEADERS, END_HEADERS, stream, &fields(&[(":status", "200")])).await.unwrap();
    frames.send(Frame::DATA, END_STREAM, stream, body.as_bytes()).await.unwrap();
}

/// A `POST` whose body is sent as a whole, so that it can be retried.
pub fn call(sidekey: &Sidekey) -> tokio::task::JoinHandle<crate::harness::Response> {
    tokio::spawn(Request::post(sidekey.url("/api/x"), "body").send())
}
