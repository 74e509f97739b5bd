//! Requests to the admin address of a running Sidekey, by HTTP/1.0, so that a response ends with its connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::config::ListenAddress;
use crate::credential::bearer_authorization;
use crate::secret::Secret;

/// Limit on the time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// One request.
pub(super) struct AdminRequest<'a> {
    /// The path, with a slash at its beginning.
    pub(super) path: &'a str,
    /// The JSON that is posted; without it the request is a GET.
    pub(super) json: Option<&'a str>,
    /// The admin token, if there is one.
    pub(super) token: Option<&'a Secret>,
    /// Limit on each pause of the response.
    pub(super) timeout: Duration,
    /// Maximum size of the response in bytes.
    pub(super) max_response: u64,
}

/// The response to an admin request.
pub(super) struct AdminResponse {
    /// Its status.
    pub(super) status: u16,
    /// Its body.
    pub(super) body: String,
}

impl AdminRequest<'_> {
    /// Sends the request.
    pub(super) fn send(&self, admin: &ListenAddress) -> io::Result<AdminResponse> {
        match admin {
            ListenAddress::Tcp(address) => {
                let stream = TcpStream::connect_timeout(&reachable(*address), CONNECT_TIMEOUT)?;
                stream.set_read_timeout(Some(self.timeout))?;
                self.exchange(stream)
            }
            ListenAddress::Unix(socket) => {
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(self.timeout))?;
                self.exchange(stream)
            }
        }
    }

    fn exchange(&self, mut stream: impl Read + Write) -> io::Result<AdminResponse> {
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
        if !self.path.starts_with('/') || !self.path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("the path must begin with `/` and consist of visible ASCII"));
        }
        let method = if self.json.is_some() { "POST" } else { "GET" };
        let mut head =
            Zeroizing::new(format!("{method} {} HTTP/1.0\r\nHost: localhost\r\n", self.path).into_bytes());
        if let Some(token) = self.token {
            let value =
                bearer_authorization(token).ok_or_else(|| invalid("the admin token is no header value"))?;
            head.extend_from_slice(b"Authorization: ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        if let Some(json) = self.json {
            let length = json.len();
            write!(head, "Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{json}")?;
        } else {
            head.extend_from_slice(b"\r\n");
        }
        stream.write_all(&head)?;
        let mut answer = Vec::new();
        stream.take(self.max_response).read_to_end(&mut answer)?;
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status =
            status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the answer is not HTTP"))?;
        Ok(AdminResponse { status, body: body.to_owned() })
    }
}

/// The address to connect to: one that is bound to every address is reached at this machine's own.
fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            address.set_ip(std::net::Ipv6Addr::LOCALHOST.into());
        }
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers one request, and keeps what it was sent.
    struct Peer {
        answer: io::Cursor<&'static [u8]>,
        sent: Vec<u8>,
    }

    impl Read for &mut Peer {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.answer.read(buffer)
        }
    }

    impl Write for &mut Peer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.sent.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request<'a>(path: &'a str, json: Option<&'a str>, token: Option<&'a Secret>) -> AdminRequest<'a> {
        AdminRequest { path, json, token, timeout: CONNECT_TIMEOUT, max_response: 1000 }
    }

    #[test]
    fn admin_request_is_written_and_its_response_read() {
        let mut peer =
            Peer { answer: io::Cursor::new(b"HTTP/1.0 503 No\r\nA: b\r\n\r\nnot ready\n"), sent: Vec::new() };
        let token = Secret::new("0123456789abcdef".into()).unwrap();
        let answer = request("/x", Some("{}"), Some(&token)).exchange(&mut peer).unwrap();
        assert_eq!((answer.status, answer.body.as_str()), (503, "not ready\n"));
        let expected = "POST /x HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer 0123456789abcdef\r\n\
                        Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8(peer.sent).unwrap(), expected);

        let mut peer = Peer { answer: io::Cursor::new(b"220 smtp.example ESMTP"), sent: Vec::new() };
        assert!(request("/readyz", None, None).exchange(&mut peer).is_err());
        assert_eq!(peer.sent, b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n");
        for path in ["x", "/a b", "/a\r\nX: y"] {
            let mut peer = Peer { answer: io::Cursor::new(b""), sent: Vec::new() };
            assert!(request(path, None, None).exchange(&mut peer).is_err());
            assert!(peer.sent.is_empty(), "{path}");
        }
    }

    #[test]
    fn address_of_all_interfaces_is_reached_at_this_machine() {
        for (bound, reached) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("10.0.0.1:1", "10.0.0.1:1")]
        {
            assert_eq!(reachable(bound.parse().unwrap()), reached.parse().unwrap());
        }
    }
}
