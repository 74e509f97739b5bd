//! A tunnel through a forward proxy (`proxy`): the `CONNECT` request (RFC 9110 §9.3.6) and its response.

use std::io;

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The limit on the head of the proxy's response, in bytes.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Opens a tunnel to `authority`; afterwards `stream` is a connection to the upstream.
pub(crate) async fn open(
    stream: &mut TcpStream,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> io::Result<()> {
    let mut request = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n").into_bytes();
    if let Some(value) = authorization {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    let head = read_head(stream).await?;
    match status(&head) {
        Some(200..=299) => Ok(()),
        Some(407) if authorization.is_none() => Err(io::Error::other(
            "the proxy requires credentials (407): set `proxy.username` and `proxy.password`",
        )),
        Some(407) => Err(io::Error::other("the proxy rejects `proxy.username` and `proxy.password` (407)")),
        Some(status) => Err(io::Error::other(format!("the proxy rejects the tunnel: status {status}"))),
        None => Err(io::Error::other("the server at `proxy.url` is not an HTTP proxy")),
    }
}

/// Reads the response head byte by byte, because the bytes after it come from the upstream.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if head.len() == MAX_HEAD_BYTES {
            return Err(io::Error::other("the proxy's response is too long"));
        }
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(io::Error::other("the proxy closed the connection without a response"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    if !head.starts_with(b"HTTP/1.") || head.get(8) != Some(&b' ') {
        return None;
    }
    std::str::from_utf8(head.get(9..12)?).ok()?.parse().ok()
}
