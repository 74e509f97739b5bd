//! The upstream that speaks HTTP/2: pages, and what a gRPC server answers, by hand.

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Request, Response};
use tokio::net::TcpStream;

use crate::authorization;

/// Messages in the answer to a streaming call.
pub const MESSAGES: usize = 100;

/// Serves one connection to its end.
pub async fn serve(socket: TcpStream) {
    let mut builder = h2::server::Builder::new();
    builder.initial_window_size(1 << 20).initial_connection_window_size(1 << 24).max_concurrent_streams(1024);
    let Ok(mut connection) = builder.handshake(socket).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        tokio::spawn(async move {
            let _ = answer(request, respond).await;
        });
    }
}

async fn answer(request: Request<h2::RecvStream>, mut respond: SendResponse<Bytes>) -> Result<(), h2::Error> {
    let mut given = request.headers().get_all(AUTHORIZATION).iter();
    let is_right = given.next().is_some_and(|own| own == authorization()) && given.next().is_none();
    let path = request.uri().path().to_owned();
    let mut body = request.into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let head = |status: u16, kind: &str| {
        Response::builder().status(status).header(CONTENT_TYPE, kind).body(()).expect("a good head")
    };
    // Five bytes of gRPC before each message: not compressed, and the length.
    let message = |length: u16| {
        let mut message = vec![0, 0, 0];
        message.extend(length.to_be_bytes());
        message.resize(5 + usize::from(length), b'x');
        Bytes::from(message)
    };
    match path.as_str() {
        _ if !is_right => {
            respond.send_response(head(401, "text/plain"), true)?;
        }
        "/grpc/unary" => {
            let mut stream = respond.send_response(head(200, "application/grpc"), false)?;
            send(&mut stream, message(100)).await?;
            stream.send_trailers(status())?;
        }
        "/grpc/stream" => {
            let mut stream = respond.send_response(head(200, "application/grpc"), false)?;
            for _ in 0..MESSAGES {
                send(&mut stream, message(1024)).await?;
            }
            stream.send_trailers(status())?;
        }
        _ => {
            let mut page = head(200, "text/plain");
            page.headers_mut().insert(CONTENT_LENGTH, 1024.into());
            let mut stream = respond.send_response(page, false)?;
            stream.send_data(Bytes::from_static(&[b'x'; 1 << 10]), true)?;
        }
    }
    Ok(())
}

/// Sends one message when there is room for it.
async fn send(stream: &mut SendStream<Bytes>, message: Bytes) -> Result<(), h2::Error> {
    stream.reserve_capacity(message.len());
    while stream.capacity() < message.len() {
        match std::future::poll_fn(|cx| stream.poll_capacity(cx)).await {
            Some(room) => room?,
            None => return Ok(()),
        };
    }
    stream.send_data(message, false)
}

fn status() -> HeaderMap {
    HeaderMap::from_iter([("grpc-status".parse().expect("a name"), "0".parse().expect("a value"))])
}
