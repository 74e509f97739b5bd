//! Classes of header fields (RFC 9110 §7.6, RFC 9112 §7, §9.6): fields of one connection, which are never
//! passed on, fields that frame the message, and fields that other modules handle.

/// How a proxy treats a header field. A field without a rule of its own is [`HeaderClass::EndToEnd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderClass {
    /// Passed on unchanged.
    EndToEnd,
    /// `Authorization`
    Authorization,
    /// `Connection`: names further fields of the connection.
    Connection,
    /// `Content-Length`
    ContentLength,
    /// `Cookie`
    Cookie,
    /// `Destination` of a request (RFC 4918 §10.3): names another resource of the upstream.
    Destination,
    /// `Host`: replaced by the upstream's authority.
    Host,
    /// `If` of a request (RFC 4918 §10.4): may name other resources of the upstream.
    If,
    /// `Keep-Alive`, `Proxy-Connection`, `Proxy-Authorization`, `Proxy-Authenticate`: not passed on.
    HopByHop,
    /// `Link` (RFC 8288): its targets may name the upstream.
    Link,
    /// `Location`, `Content-Location`: may name the upstream.
    Location,
    /// `Refresh`: a number of seconds and a URL, which may name the upstream.
    Refresh,
    /// `Sidekey-Error`: written by Sidekey only, so one from an upstream is removed.
    SidekeyError,
    /// `TE`: not passed on, but `TE: trailers` is written again.
    Te,
    /// `traceparent`: passed on unchanged, or replaced if the request is recorded as a span of the trace.
    Traceparent,
    /// `tracestate`: passed on unchanged, but only with the `traceparent` it came with.
    Tracestate,
    /// `Trailer`: passed on with chunked content only.
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// A field whose value is a URL that clients use as it stands, such as `Operation-Location`.
    UrlValue,
    /// `Upgrade`: not passed on, unless the upgrade is one that Sidekey supports.
    Upgrade,
}

impl HeaderClass {
    /// Whether values of the class hold URLs that may name the upstream.
    pub fn has_url(self) -> bool {
        matches!(self, Self::Link | Self::Location | Self::Refresh | Self::UrlValue)
    }

    /// The class of a field name, in any case.
    pub fn of(name: &str) -> Self {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        // The length comes first: it decides most names.
        match name.len() {
            2 if is("te") => Self::Te,
            2 if is("if") => Self::If,
            4 if is("host") => Self::Host,
            4 if is("link") => Self::Link,
            6 if is("cookie") => Self::Cookie,
            7 if is("refresh") => Self::Refresh,
            7 if is("trailer") => Self::Trailer,
            7 if is("upgrade") => Self::Upgrade,
            8 if is("location") => Self::Location,
            10 if is("connection") => Self::Connection,
            10 if is("keep-alive") => Self::HopByHop,
            10 if is("tracestate") => Self::Tracestate,
            11 if is("destination") => Self::Destination,
            11 if is("traceparent") => Self::Traceparent,
            13 if is("authorization") => Self::Authorization,
            13 if is("sidekey-error") => Self::SidekeyError,
            14 if is("content-length") => Self::ContentLength,
            16 if is("content-location") => Self::Location,
            16 if is("proxy-connection") => Self::HopByHop,
            17 if is("transfer-encoding") => Self::TransferEncoding,
            17 if is("x-goog-upload-url") => Self::UrlValue,
            18 if is("operation-location") => Self::UrlValue,
            18 if is("proxy-authenticate") => Self::HopByHop,
            19 if is("proxy-authorization") => Self::HopByHop,
            20 if is("azure-asyncoperation") => Self::UrlValue,
            25 if is("x-goog-upload-control-url") => Self::UrlValue,
            _ => Self::EndToEnd,
        }
    }
}

/// Whether a byte may be in a token (RFC 9110 §5.6.2).
pub fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The tokens of a comma-separated field value (RFC 9110 §5.6.1).
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Whether a comma-separated field value has this token, in any case.
pub fn has_token(value: &[u8], token: &str) -> bool {
    tokens(value).any(|candidate| candidate.eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether a line ends in a line feed alone. Some servers accept that, others read it as part of the line.
#[expect(
    clippy::needless_bitwise_bool,
    reason = "many bytes are compared at a time: this is done for every head"
)]
pub fn has_bare_line_feed(bytes: &[u8]) -> bool {
    let lines = bytes.iter().zip(bytes.get(1..).unwrap_or_default());
    bytes.first() == Some(&b'\n')
        || lines.fold(false, |found, (before, byte)| found | ((*byte == b'\n') & (*before != b'\r')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_class_ignores_case() {
        assert_eq!(HeaderClass::of("Connection"), HeaderClass::Connection);
        assert_eq!(HeaderClass::of("KEEP-ALIVE"), HeaderClass::HopByHop);
        assert_eq!(HeaderClass::of("proxy-Authorization"), HeaderClass::HopByHop);
        assert_eq!(HeaderClass::of("tE"), HeaderClass::Te);
        assert_eq!(HeaderClass::of("TraceParent"), HeaderClass::Traceparent);
        assert_eq!(HeaderClass::of("tracestate"), HeaderClass::Tracestate);
        for other in ["X-Connection", "te2", "Accept", "Locations", "Expect", "authorizatioN2", ""] {
            assert_eq!(HeaderClass::of(other), HeaderClass::EndToEnd, "{other}");
        }
    }

    #[test]
    fn has_token_reads_comma_separated_lists() {
        assert!(has_token(b"keep-alive ,\tUpgrade", "upgrade"));
        assert!(has_token(b",,close,", "close"));
        assert!(!has_token(b"closed, not-close", "close"));
        assert!(!has_token(b"", "close"));
    }

    #[test]
    fn has_bare_line_feed_finds_lone_line_feeds() {
        for lines in [&b"\n"[..], b"a\nb\r\n", b"a\r\n\n", b"a\r\n\r\r\n\nb"] {
            assert!(has_bare_line_feed(lines), "{lines:?}");
        }
        assert!(!has_bare_line_feed(b"") && !has_bare_line_feed(b"a\r\nb\r\n\r\n"));
    }
}
