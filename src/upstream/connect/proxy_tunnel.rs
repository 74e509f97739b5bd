//! A tunnel through a forward proxy (`proxy`): the `CONNECT` request (RFC 9110 §9.3.6) and its response.

use std::io;

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The limit on the head of the proxy's response and the interim responses before it, in bytes.
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
    match read_status(stream).await? {
        Some(200..=299) => Ok(()),
        Some(407) if authorization.is_none() => Err(io::Error::other(
            "the proxy requires credentials (407): set `proxy.username` and `proxy.password`",
        )),
        Some(407) => Err(io::Error::other("the proxy rejects `proxy.username` and `proxy.password` (407)")),
        Some(status) => Err(io::Error::other(format!("the proxy rejects the tunnel: status {status}"))),
        None => Err(io::Error::other("the server at `proxy.url` is not an HTTP proxy")),
    }
}

/// Reads the head of the final response and returns its status; `None` if it is not HTTP. Interim responses may
/// come before it (RFC 9110 §15.2).
async fn read_status(stream: &mut TcpStream) -> io::Result<Option<u16>> {
    let mut left = MAX_HEAD_BYTES;
    loop {
        match status(&read_head(stream, &mut left).await?) {
            Some(100 | 102..=199) => {}
            status => return Ok(status),
        }
    }
}

/// Reads one response head byte by byte, because the bytes after it come from the upstream. `left` is the number
/// of bytes that are accepted.
async fn read_head(stream: &mut TcpStream, left: &mut usize) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") && !head.ends_with(b"\n\n") {
        if *left == 0 {
            return Err(io::Error::other("the proxy's response is too long"));
        }
        match stream.read_u8().await {
            Ok(byte) => {
                *left -= 1;
                head.push(byte);
            }
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
