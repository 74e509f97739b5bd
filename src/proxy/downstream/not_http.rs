//! The first bytes of a caller that does not speak HTTP as the listener expects it. Such a caller is answered at
//! once and with the cause; otherwise it would wait until the head of a request is late.

use std::time::Duration;

use memchr::{memchr, memmem};

use crate::net::deadline::{AtomicDeadline, Tick};
use crate::proto::fields::is_tchar;
use crate::proxy::error::{ErrorReason, ProxyError};

/// The first byte of a TLS handshake (RFC 8446 §5.1).
pub(crate) const TLS_HANDSHAKE: u8 = 0x16;
/// The beginning of a ClientHello in the format of SSL 2.0, after a length of two bytes (RFC 5246 §E.2).
const SSL2_CLIENT_HELLO: u8 = 0x01;
/// The versions at the beginning of a SOCKS request (RFC 1928 §3).
const SOCKS: std::ops::RangeInclusive<u8> = 4..=5;
/// What is in every request line, before the number of the version.
const VERSION: &[u8] = b" HTTP/";
/// The beginning of a header of the PROXY protocol, version 1.
const PROXY_V1: &[u8] = b"PROXY ";
/// The beginning of a header of the PROXY protocol, version 2, behind its empty lines.
const PROXY_V2: &[u8] = b"\0\r\nQUIT\n";

/// One event in the log for each protocol in this time, because any client can cause it.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What a caller speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotHttp {
    /// TLS, on a listener without it.
    Tls,
    /// HTTP without TLS, on a listener with it.
    PlainHttp,
    /// SOCKS.
    Socks,
    /// The PROXY protocol, which load balancers speak.
    ProxyProtocol,
    /// Anything else.
    Unknown,
}

impl NotHttp {
    /// The protocol that begins with these bytes; `None` if they may begin a request in HTTP. Empty lines were
    /// removed before.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        match *bytes {
            [] => None,
            [b'P', ..] if bytes.starts_with(PROXY_V1) => Some(Self::ProxyProtocol),
            // A method is a token (RFC 9110 §9.1).
            [first, ..] if is_tchar(first) => None,
            // The rest of an empty line, or of one that ends in a bare line feed, which the parser rejects.
            [b'\r' | b'\n', ..] => None,
            [TLS_HANDSHAKE, ..] | [0x80..=0xff, _, SSL2_CLIENT_HELLO, ..] => Some(Self::Tls),
            [first, ..] if SOCKS.contains(&first) => Some(Self::Socks),
            [0, ..] if bytes.starts_with(&PROXY_V2[..bytes.len().min(PROXY_V2.len())]) => {
                Some(Self::ProxyProtocol)
            }
            _ => Some(Self::Unknown),
        }
    }

    /// The protocol of a head that is not complete, if its first line is complete and is no request line (RFC 9112 §3): that of a
    /// client of SSH, SMTP, Redis and others, which then waits for an answer.
    pub(crate) fn of_first_line(bytes: &[u8]) -> Option<Self> {
        let line = &bytes[..memchr(b'\n', bytes)?];
        memmem::find(line, VERSION).is_none().then_some(Self::Unknown)
    }

    /// The protocol of a caller whose first byte, on a listener with TLS, is not the one of a handshake.
    pub(crate) fn on_tls(first: u8) -> Self {
        match first {
            _ if is_tchar(first) => Self::PlainHttp,
            _ if SOCKS.contains(&first) => Self::Socks,
            b'\r' => Self::ProxyProtocol,
            _ => Self::Unknown,
        }
    }

    /// The error for the caller. The cause is logged, once in [`LOG_INTERVAL`].
    pub(crate) fn error(self) -> ProxyError {
        let (cause, detail) = match self {
            Self::Tls => (
                "a caller begins with TLS on a listener without TLS",
                "This address of Sidekey speaks plain HTTP, and the caller began with TLS: its URL must begin with http://, or \
                 the listener needs `tls`.",
            ),
            Self::PlainHttp => (
                "a caller speaks plain HTTP on a listener with TLS",
                "This address of Sidekey speaks TLS, and the caller sent plain HTTP: its URL must begin with https://.",
            ),
            Self::Socks => (
                "a caller speaks SOCKS",
                "Sidekey is an HTTP proxy and does not speak SOCKS: the proxy setting must begin with http://.",
            ),
            Self::ProxyProtocol => (
                "a caller speaks the PROXY protocol",
                "Sidekey does not read the PROXY protocol: switch it off in the load balancer in front of Sidekey.",
            ),
            Self::Unknown => ("a caller does not speak HTTP", "What came is not HTTP."),
        };
        if self.may_log() {
            tracing::warn!("not the protocol of this listener: {cause}; {detail}");
        }
        ProxyError { detail: Some(detail), ..ProxyError::new(ErrorReason::BadRequest, cause) }
    }

    /// Whether no event was logged for this protocol recently.
    fn may_log(self) -> bool {
        static NEXT: [AtomicDeadline; 5] = [const { AtomicDeadline::off() }; 5];
        NEXT[self as usize].try_restart(Tick::now(), LOG_INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocol_is_told_by_its_first_bytes() {
        for (bytes, protocol) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], NotHttp::Tls),
            (b"\x16", NotHttp::Tls),
            (b"\x80\x2e\x01\x03\x01", NotHttp::Tls),
            (b"\x05\x01\x00", NotHttp::Socks),
            (b"\x04\x01\x01\xbb", NotHttp::Socks),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", NotHttp::ProxyProtocol),
            (b"\0\r\nQUIT\n\x21\x11", NotHttp::ProxyProtocol),
            (b"\0\r\nQU", NotHttp::ProxyProtocol),
            (b"\0\0\0\x0e", NotHttp::Unknown),
            (b"\x80\x2e\x05", NotHttp::Unknown),
            (b" GET / HTTP/1.1\r\n", NotHttp::Unknown),
        ] {
            assert_eq!(NotHttp::of(bytes), Some(protocol), "{}", bytes.escape_ascii());
        }
        for bytes in
            [&b""[..], b"GET / HTTP/1.1\r\n", b"P", b"PROPFIND /", b"get", b"PRI * HTTP/2.0\r\n", b"\r"]
        {
            assert_eq!(NotHttp::of(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn protocol_is_told_by_its_first_line() {
        for bytes in [
            &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
            b"EHLO host\r\n",
            b"*1\r\n$4\r\nPING\r\n",
            b"PING\r\n",
            b"USER x\nPASS y\n",
            b"GET /\r\n",
            b"CONNECT\r\naccept-version:1.2\r\n",
            b"\n",
        ] {
            assert_eq!(NotHttp::of_first_line(bytes), Some(NotHttp::Unknown), "{}", bytes.escape_ascii());
        }
        for bytes in
            [&b"SSH-2.0"[..], b"", b"GET / HTTP/1.1\r\nHost: a\r\n", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/"]
        {
            assert_eq!(NotHttp::of_first_line(bytes), None, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn event_is_logged_once_in_its_interval() {
        assert!(NotHttp::Socks.may_log());
        assert!(!NotHttp::Socks.may_log() && !NotHttp::Socks.may_log());
        assert!(NotHttp::ProxyProtocol.may_log(), "each protocol has its own");
    }
}
