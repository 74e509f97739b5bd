//! The head of a `CONNECT`.

use super::framing_headers::FramingHeaders;
use super::page_fields::PageFields;
use super::request::parsed;
use super::{HeaderBuffer, bad, host_mismatch};
use crate::config::{Authority, Host, port};
use crate::proxy::error::ProxyError;

/// The head of a `CONNECT`.
pub(crate) struct ConnectHead<'b> {
    pub(crate) host: Host,
    pub(crate) port: u16,
    pub(crate) page: PageFields<'b>,
}

/// Parses the head of a `CONNECT` with host and port (RFC 9112 §3.2.3). The host is canonical, so that
/// all spellings of it are equal.
pub(crate) fn connect(bytes: &[u8]) -> Result<ConnectHead<'_>, ProxyError> {
    let mut header_buffer = HeaderBuffer::new();
    let parsed = parsed(bytes, &mut header_buffer)?;
    let framing = FramingHeaders::of(parsed.headers)?;
    if framing.is_chunked || framing.length.is_some_and(|length| length > 0) {
        return Err(bad("CONNECT with a body"));
    }
    let target = parsed.path.unwrap_or_default();
    let authority = || {
        let (host, digits) = target.rsplit_once(':')?;
        let port = port(digits).filter(|port| *port > 0 && target.is_ascii())?;
        Some((Host::canonical(host)?, port))
    };
    let (host, port) = authority().ok_or_else(|| bad("the target of a CONNECT is not host:port"))?;
    let host_field = framing.host.map(|host| std::str::from_utf8(host).unwrap_or_default());
    if host_field.is_some_and(|host| !Authority::is_same(target, host)) {
        return Err(host_mismatch());
    }
    Ok(ConnectHead { host, port, page: framing.page })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::error::ErrorReason;

    #[test]
    fn connect_target_is_host_and_port() {
        let parsed = |target: &str, fields: &str| {
            let head = format!("CONNECT {target} HTTP/1.1\r\n{fields}\r\n");
            connect(head.as_bytes())
                .map(|head| format!("{} {}", head.host, head.port))
                .map_err(|failure| failure.reason)
        };
        assert_eq!(parsed("API.example.com:443", ""), Ok("api.example.com 443".into()));
        assert_eq!(parsed("a:443", "Host: a\r\n"), Ok("a 443".into()));
        assert_eq!(parsed("[::1]:8443", "Host: [::1]:8443\r\n"), Ok("[::1] 8443".into()));
        assert_eq!(parsed("0x7f.1:80", ""), Ok("127.0.0.1 80".into()), "another spelling of an address");
        assert_eq!(
            parsed("[::FFFF:127.0.0.1]:80", ""),
            Ok("127.0.0.1 80".into()),
            "another spelling of an address"
        );
        assert_eq!(
            parsed("LocalHost.:0443", "Host: localhost\r\n"),
            Ok("localhost 443".into()),
            "a dot at the end"
        );
        assert_eq!(parsed("a:443", "Host: b:443\r\n"), Err(ErrorReason::Forbidden));
        for target in [
            "a",
            "a:",
            ":443",
            "a:0",
            "a:70000",
            "http://a:443",
            "/x",
            "*",
            "u@a:443",
            "a/b:443",
            "a b:443",
            "a:443/x",
            "a:+443",
            "a..:443",
            ".:443",
            "[fe80::1%25eth0]:443",
        ] {
            assert_eq!(parsed(target, ""), Err(ErrorReason::BadRequest), "{target}");
        }
        assert_eq!(parsed("a:443", "Content-Length: 5\r\n"), Err(ErrorReason::BadRequest));
        assert_eq!(parsed("a:443", "Transfer-Encoding: chunked\r\n"), Err(ErrorReason::BadRequest));
        assert_eq!(parsed("a:443", "Host: a\r\nHost: a\r\n"), Err(ErrorReason::BadRequest));
    }
}
