//! The trailers of gRPC-Web, which are the last frame of a body, and the status for a credential that the server does not accept.
//!
//! A body is a sequence of frames: a byte of flags, four bytes of length, and a payload. The frame whose flags have the highest
//! bit has the trailers, as lines of an HTTP/1.1 head. With `application/grpc-web-text` all of it is in Base64, padded anywhere.
//! The body is read as it passes. Nothing but the trailers is kept.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use httparse::Header;

use super::grpc;

const TYPE: &[u8] = b"application/grpc-web";
const TEXT_TYPE: &[u8] = b"application/grpc-web-text";
const CONTENT_TYPE: &str = "content-type";
const FRAME_HEADER_LENGTH: usize = 5;
/// The flags of a frame with trailers that are not compressed.
const TRAILERS: u8 = 0x80;
/// The limit on trailers, in bytes. Of larger ones the front is read.
const MAX_TRAILERS: usize = 8 * 1024;

/// Reads the body of one response.
#[derive(Debug, Default)]
pub struct GrpcWebTrailers {
    /// The characters of a group of Base64 that is not complete; `None` if the body is binary.
    text: Option<Group>,
    /// The part of a frame's header that has come, and its length.
    header: [u8; FRAME_HEADER_LENGTH],
    header_read: usize,
    /// The number of bytes of the payload that are to come.
    payload_left: u32,
    /// The trailers.
    trailers: Vec<u8>,
}

#[derive(Debug, Default)]
struct Group {
    characters: [u8; 4],
    count: usize,
}

impl GrpcWebTrailers {
    /// A reader for the body of a response with these fields; `None` if it is not gRPC-Web.
    pub fn of(fields: &[Header<'_>]) -> Option<Box<Self>> {
        let begins = |value: &[u8], kind: &[u8]| {
            value.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
        };
        let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case(CONTENT_TYPE))?;
        let text = begins(field.value, TEXT_TYPE).then(Group::default);
        begins(field.value, TYPE).then(|| Box::new(Self { text, ..Self::default() }))
    }

    /// Reads the next bytes of the body, without any coding of HTTP.
    pub fn read(&mut self, mut content: &[u8]) {
        if self.text.is_none() {
            return self.frames(content);
        }
        let mut decoded = [0; 3];
        while let Some((&first, rest)) = content.split_first() {
            content = rest;
            let Some(group) = &mut self.text else { return };
            group.characters[group.count] = first;
            group.count += 1;
            if group.count == group.characters.len() {
                group.count = 0;
                let length = STANDARD.decode_slice(group.characters, &mut decoded).unwrap_or_default();
                self.frames(&decoded[..length]);
            }
        }
    }

    /// Reads the next bytes of frames.
    fn frames(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.header_read < FRAME_HEADER_LENGTH {
                let (part, rest) = bytes.split_at(bytes.len().min(FRAME_HEADER_LENGTH - self.header_read));
                self.header[self.header_read..][..part.len()].copy_from_slice(part);
                self.header_read += part.len();
                bytes = rest;
                let [_, length @ ..] = self.header;
                self.payload_left = u32::from_be_bytes(length);
            }
            let length = usize::try_from(self.payload_left).unwrap_or(usize::MAX).min(bytes.len());
            let is_complete = self.header_read == FRAME_HEADER_LENGTH;
            let (part, rest) = bytes.split_at(if is_complete { length } else { 0 });
            bytes = rest;
            self.payload_left -= u32::try_from(part.len()).unwrap_or(self.payload_left);
            if self.header[0] == TRAILERS {
                let room = MAX_TRAILERS - self.trailers.len();
                self.trailers.extend_from_slice(&part[..part.len().min(room)]);
            }
            if is_complete && self.payload_left == 0 {
                self.header_read = 0;
            }
        }
    }

    /// Whether the trailers so far have `grpc-status: 16`.
    pub fn is_unauthenticated(&self) -> bool {
        self.trailers.split(|byte| *byte == b'\n').any(|line| {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { return false };
            let name = std::str::from_utf8(line[..colon].trim_ascii()).unwrap_or_default();
            grpc::is_unauthenticated(&Header { name, value: &line[colon + 1..] })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[flags][..], &length, payload].concat()
    }

    fn reader(content_type: &str) -> Option<Box<GrpcWebTrailers>> {
        GrpcWebTrailers::of(&[Header { name: "Content-Type", value: content_type.as_bytes() }])
    }

    /// Whether a body says so, in pieces of any size.
    fn says(content_type: &str, body: &[u8]) -> bool {
        let mut results = (1..=body.len()).map(|size| {
            let mut reader = reader(content_type).unwrap();
            body.chunks(size).for_each(|piece| reader.read(piece));
            reader.is_unauthenticated()
        });
        let first = results.next().unwrap();
        assert!(results.all(|result| result == first));
        first
    }

    #[test]
    fn bodies_of_grpc_web_are_read() {
        for kind in ["application/grpc-web", "application/grpc-web+proto", "Application/GRPC-Web-Text+proto"]
        {
            assert!(reader(kind).is_some(), "{kind}");
        }
        for kind in ["application/grpc", "application/grpc+proto", "application/json", ""] {
            assert!(reader(kind).is_none(), "{kind}");
        }
    }

    #[test]
    fn status_is_found_in_the_frame_of_trailers() {
        let message = frame(0, b"\x80\0\0\0\x0fgrpc-status: 16");
        for (trailers, expected) in [
            ("grpc-status: 16\r\n", true),
            ("grpc-status:16\r\ngrpc-message: no\r\n", true),
            ("x: y\r\nGrpc-Status: 16", true),
            ("grpc-status: 0\r\n", false),
            ("grpc-status: 160\r\n", false),
            ("grpc-message: grpc-status: 16\r\n", false),
            ("", false),
        ] {
            let body = [message.clone(), frame(0, b""), frame(0x80, trailers.as_bytes())].concat();
            assert_eq!(says("application/grpc-web+proto", &body), expected, "{trailers}");
            assert_eq!(says("application/grpc-web-text", STANDARD.encode(&body).as_bytes()), expected);
            let parts = [message.clone(), frame(0x80, trailers.as_bytes())].map(|part| STANDARD.encode(part));
            assert_eq!(says("application/grpc-web-text", parts.concat().as_bytes()), expected, "{trailers}");
        }
        assert!(!says("application/grpc-web", &message), "it is a message");
        assert!(!says("application/grpc-web", &frame(0x81, b"grpc-status: 16")), "it is compressed");
    }

    #[test]
    fn trailers_that_are_kept_are_limited() {
        let mut reader = reader("application/grpc-web").unwrap();
        reader.read(&frame(0x80, &vec![b'a'; 100 * MAX_TRAILERS]));
        reader.read(&frame(0x80, b"b"));
        assert_eq!(reader.trailers.len(), MAX_TRAILERS);
    }
}
