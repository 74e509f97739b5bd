//! An HTTP/2 upstream that the test plays, frame by frame.

use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::harness::flag::{END_HEADERS, END_STREAM};
use crate::harness::{Frame, Frames, Request, Sidekey, fields};
use crate::suite::http::setup::sidekey_with_one_worker;

/// A server that the test plays, frame by frame.
pub struct FrameServer(TcpListener);

impl FrameServer {
    pub async fn behind_sidekey(more: &str) -> (Self, Sidekey) {
        Self::of(TcpListener::bind("127.0.0.1:0").await.unwrap(), more).await
    }

    /// The same, whose connections have room for few bytes.
    pub async fn with_small_buffers() -> (Self, Sidekey) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self::of(socket.listen(16).unwrap(), "").await
    }

    async fn of(listener: TcpListener, more: &str) -> (Self, Sidekey) {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let sidekey = sidekey_with_one_worker(&url, &format!(", protocol: http2{more}")).await;
        (Self(listener), sidekey)
    }

    pub async fn accept(&self) -> Frames {
        let accepting = tokio::time::timeout(Duration::from_secs(20), self.0.accept());
        let (stream, _): (TcpStream, _) = accepting.await.expect("a connection in time").unwrap();
        Frames::accepted(stream).await
    }

    /// Accepts a connection, and reads up to the head of its first request, which has the stream 1.
    pub async fn accept_request(&self) -> Frames {
        let mut frames = self.accept().await;
        assert_eq!(frames.until(Frame::HEADERS).await.expect("a request").stream, 1);
        frames
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
