//! Translates the field block of an upstream's response to the bytes of an HTTP/1.1 head.

use std::ops::Range;

use http::StatusCode;

use super::fields::{FIELD_OVERHEAD, Malformed, check_field, length, put};
use crate::proto::fields::HeaderClass;

/// What is known of a response whose head was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UpstreamResponse {
    pub(crate) status: u16,
    /// The length of the content that is to come; `None` if nothing is known of it.
    pub(crate) content_length: Option<u64>,
    /// Whether the content is read in chunked coding.
    pub(crate) is_chunked: bool,
    /// Whether the head is larger than it may be. What was written is not complete then.
    pub(crate) is_over_size: bool,
}

impl UpstreamResponse {
    /// Whether another head follows (RFC 9110 §15.2).
    pub(crate) fn is_interim(self) -> bool {
        self.status < 200
    }
}

/// Writes a head while its fields come.
pub(crate) struct ResponseWriter<'a> {
    out: &'a mut Vec<u8>,
    /// The limit on the size of all fields.
    max_size: usize,
    size: usize,
    has_regular: bool,
    is_malformed: bool,
    announces_trailers: bool,
    /// The line that says the length.
    length_line: Range<usize>,
    response: UpstreamResponse,
}

impl<'a> ResponseWriter<'a> {
    /// Appends the head to `out`. Its size is `max_size` at most, counted as RFC 9113 §6.5.2 says.
    pub(crate) fn new(out: &'a mut Vec<u8>, max_size: usize) -> Self {
        Self {
            out,
            max_size,
            size: 0,
            has_regular: false,
            is_malformed: false,
            announces_trailers: false,
            length_line: 0..0,
            response: UpstreamResponse::default(),
        }
    }

    /// Writes the next field of the block.
    pub(crate) fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size += name.len() + value.len() + FIELD_OVERHEAD;
        self.response.is_over_size |= self.size > self.max_size;
        if self.response.is_over_size || self.is_malformed {
            return;
        }
        let written =
            if name.first() == Some(&b':') { self.pseudo(name, value) } else { self.regular(name, value) };
        self.is_malformed = written.is_err();
    }

    fn pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if name != b":status" || self.response.status != 0 || self.has_regular {
            return Err(Malformed);
        }
        let status = StatusCode::from_bytes(value).map_err(|_| Malformed)?;
        // RFC 9113 §8.6: the status is not used in HTTP/2.
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Malformed);
        }
        self.response.status = status.as_u16();
        let reason = status.canonical_reason().unwrap_or_default();
        put(self.out, &[b"HTTP/1.1 ", value, b" ", reason.as_bytes(), b"\r\n"]);
        Ok(())
    }

    fn regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        self.has_regular = true;
        if self.response.status == 0 {
            return Err(Malformed);
        }
        // Some servers leave whitespace around a value. In HTTP/1.1 it is no part of it (RFC 9110 §5.5).
        let value = value.trim_ascii();
        let (name, class) = check_field(name, value)?;
        match class {
            HeaderClass::ContentLength => {
                let length = length(value).ok_or(Malformed)?;
                let is_same = self.response.content_length.is_none_or(|known| known == length);
                if self.response.content_length.replace(length).is_some() {
                    return if is_same { Ok(()) } else { Err(Malformed) };
                }
                let start = self.out.len();
                self.length_line = start..start + name.len() + value.len() + 4;
            }
            HeaderClass::Trailer => self.announces_trailers = true,
            _ => {}
        }
        put(self.out, &[name.as_bytes(), b": ", value, b"\r\n"]);
        Ok(())
    }

    /// Ends the head. `is_end`: the stream ends with it; an empty body is written then, if the coding has one. `to_head`: the
    /// response is to a `HEAD` request.
    pub(crate) fn finish(mut self, is_end: bool, to_head: bool) -> Result<UpstreamResponse, Malformed> {
        if self.is_malformed {
            return Err(Malformed);
        }
        if self.response.is_over_size {
            return Ok(self.response);
        }
        let status = self.response.status;
        if status == 0 || self.response.is_interim() && is_end {
            return Err(Malformed);
        }
        // Responses without content, whatever their length says (RFC 9110 §6.4.1).
        let is_bare = to_head || matches!(status, 100..=199 | 204 | 304);
        let length = self.response.content_length;
        if is_end && !is_bare && length.is_some_and(|length| length > 0) {
            return Err(Malformed);
        }
        self.response.is_chunked = !is_bare && (length.is_none() || self.announces_trailers);
        if self.response.is_chunked {
            // Only chunked coding can carry trailers.
            self.out.drain(self.length_line);
            put(self.out, &[b"transfer-encoding: chunked\r\n"]);
        }
        put(self.out, &[b"\r\n"]);
        if is_bare {
            self.response.content_length = Some(0);
        }
        if self.response.is_chunked && is_end {
            put(self.out, &[b"0\r\n\r\n"]);
        }
        Ok(self.response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        fields: &[(&str, &str)],
        is_end: bool,
        to_head: bool,
    ) -> Result<(String, UpstreamResponse), Malformed> {
        let mut out = Vec::new();
        let mut writer = ResponseWriter::new(&mut out, 200);
        for (name, value) in fields {
            writer.field(name.as_bytes(), value.as_bytes());
        }
        let response = writer.finish(is_end, to_head)?;
        Ok((String::from_utf8_lossy(&out).into_owned(), response))
    }

    fn written(fields: &[(&str, &str)], is_end: bool, to_head: bool) -> String {
        read(fields, is_end, to_head).unwrap().0
    }

    #[test]
    fn response_is_translated_to_http1() {
        let sized = [(":status", "200"), ("content-length", "5"), ("x-a", "1")];
        let with_length = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: 1\r\n\r\n";
        assert_eq!(written(&sized, false, false), with_length);
        assert_eq!(written(&sized, true, true), with_length);
        assert_eq!(written(&[(":status", "204")], true, false), "HTTP/1.1 204 No Content\r\n\r\n");
        let chunked = "HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n";
        assert_eq!(written(&[(":status", "299")], false, false), chunked);
        assert_eq!(written(&[(":status", "299")], true, false), format!("{chunked}0\r\n\r\n"));
        let announced = written(&[sized[0], sized[1], ("trailer", "x-sum")], false, false);
        assert_eq!(announced, "HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n");
        let interim = written(&[(":status", "103"), ("link", "a")], false, false);
        assert_eq!(interim, "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n");
        assert_eq!(
            written(&[(":status", "204"), ("x-a", " b\t")], true, false).lines().nth(1),
            Some("x-a: b")
        );
    }

    #[test]
    fn content_is_what_status_method_and_length_say() {
        let known = |fields: &[(&str, &str)], is_end, to_head| {
            let response = read(fields, is_end, to_head).unwrap().1;
            (response.content_length, response.is_chunked)
        };
        let sized = [(":status", "200"), ("content-length", "5")];
        assert_eq!(known(&sized, false, false), (Some(5), false));
        assert_eq!(known(&[sized[0], sized[1], sized[1]], false, false), (Some(5), false));
        assert_eq!(known(&sized, true, true), (Some(0), false));
        assert_eq!(known(&[(":status", "304"), sized[1]], true, false), (Some(0), false));
        assert_eq!(known(&[sized[0], sized[1], ("trailer", "a")], false, false), (Some(5), true));
        assert_eq!(known(&sized[..1], false, false), (None, true));
    }

    #[test]
    fn malformed_response_has_no_head() {
        let ok = (":status", "200");
        for fields in [
            &[][..],
            &[("x-a", "1")],
            &[("x-a", "1"), ok],
            &[ok, ok],
            &[ok, (":path", "/")],
            &[(":status", "20")],
            &[(":status", "101")],
            &[(":status", "abc")],
            &[ok, ("X-A", "1")],
            &[ok, ("x-a", "1\r\nset-cookie: evil")],
            &[ok, ("connection", "close")],
            &[ok, ("transfer-encoding", "chunked")],
            &[ok, ("content-length", "+5")],
            &[ok, ("content-length", "5"), ("content-length", "6")],
        ] {
            assert_eq!(read(fields, false, false), Err(Malformed), "{fields:?}");
        }
        assert_eq!(read(&[(":status", "100")], true, false), Err(Malformed), "no response follows");
        assert_eq!(read(&[ok, ("content-length", "5")], true, false), Err(Malformed), "no content follows");
    }

    #[test]
    fn large_response_is_over_size() {
        let value = "x".repeat(200 - 32 - 3 - 32 - 7 - 3);
        let fields = [(":status", "200"), ("x-a", &value)];
        assert!(!read(&fields, true, false).unwrap().1.is_over_size);
        let value = value + "x";
        let fields = [(":status", "200"), ("x-a", &value)];
        assert!(read(&fields, true, false).unwrap().1.is_over_size);
    }
}
