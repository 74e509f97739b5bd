//! The frames of HTTP/2 (RFC 9113 §4.1, §6): their headers, and the small ones that a server writes.

use super::Reason;

/// The length of a frame's header.
pub(crate) const HEADER_LENGTH: usize = 9;
/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The flow-control window of a stream and of a connection before anything is said (RFC 9113 §6.9.2).
pub(crate) const DEFAULT_WINDOW: u32 = 65_535;
/// The largest number of a stream (RFC 9113 §5.1.1).
pub(crate) const MAX_STREAM: u32 = (1 << 31) - 1;
/// The largest flow-control window (RFC 9113 §6.9.1).
pub(crate) const MAX_WINDOW: i64 = (1 << 31) - 1;

/// The types of frames (RFC 9113 §6).
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const PRIORITY: u8 = 2;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;
    pub(crate) const CONTINUATION: u8 = 9;
}

/// Flags of frames. Their meaning depends on the type.
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Settings (RFC 9113 §6.5.2, RFC 8441 §3).
pub(crate) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 1;
    pub(crate) const ENABLE_PUSH: u16 = 2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// The header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// The length of the payload.
    pub(crate) length: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    /// The stream; 0 for the connection.
    pub(crate) stream: u32,
}

impl FrameHeader {
    /// Reads the header at the front of `bytes`; `None` if there are too few.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *bytes.first_chunk()?;
        Some(Self {
            length: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind,
            flags,
            stream: u31([s0, s1, s2, s3]),
        })
    }

    /// Whether the flag is set.
    pub(crate) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The header as it is on the wire.
    pub(crate) fn bytes(self) -> [u8; HEADER_LENGTH] {
        let [.., l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }
}

/// Appends a frame with this payload.
pub(crate) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    out.extend_from_slice(&FrameHeader { length: payload.len(), kind, flags, stream }.bytes());
    out.extend_from_slice(payload);
}

/// Appends a WINDOW_UPDATE frame.
pub(crate) fn put_window_update(out: &mut Vec<u8>, stream: u32, increment: usize) {
    let [.., a, b, c, d] = increment.to_be_bytes();
    put(out, kind::WINDOW_UPDATE, 0, stream, &[a, b, c, d]);
}

/// Appends a RST_STREAM frame.
pub(crate) fn put_reset(out: &mut Vec<u8>, stream: u32, reason: Reason) {
    put(out, kind::RST_STREAM, 0, stream, &u32::from(reason).to_be_bytes());
}

/// Appends a GOAWAY frame.
pub(crate) fn put_go_away(out: &mut Vec<u8>, last_stream: u32, reason: Reason) {
    let payload = u64::from(last_stream) << 32 | u64::from(u32::from(reason));
    put(out, kind::GOAWAY, 0, 0, &payload.to_be_bytes());
}

/// Appends a SETTINGS frame.
pub(crate) fn put_settings(out: &mut Vec<u8>, settings: &[(u16, u32)]) {
    let length = 6 * settings.len();
    out.extend_from_slice(&FrameHeader { length, kind: kind::SETTINGS, flags: 0, stream: 0 }.bytes());
    for (setting, value) in settings {
        out.extend_from_slice(&setting.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends a field block as a HEADERS frame, and CONTINUATION frames if it is larger than the peer's frames may be.
/// The block is what `write` appends.
pub(crate) fn put_field_block<T>(
    out: &mut Vec<u8>,
    stream: u32,
    max_frame: usize,
    write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<(bool, T)>,
) -> std::io::Result<T> {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_LENGTH]);
    let (is_end, written) = match write(out) {
        Ok(written) => written,
        Err(error) => {
            out.truncate(start);
            return Err(error);
        }
    };
    let end_stream = if is_end { flag::END_STREAM } else { 0 };
    let length = out.len() - start - HEADER_LENGTH;
    if length <= max_frame {
        let flags = flag::END_HEADERS | end_stream;
        let header = FrameHeader { length, kind: kind::HEADERS, flags, stream };
        out[start..start + HEADER_LENGTH].copy_from_slice(&header.bytes());
        return Ok(written);
    }
    let block = out.split_off(start + HEADER_LENGTH);
    out.truncate(start);
    let mut parts = block.chunks(max_frame).peekable();
    let (mut kind, mut flags) = (kind::HEADERS, end_stream);
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            flags |= flag::END_HEADERS;
        }
        put(out, kind, flags, stream, part);
        (kind, flags) = (kind::CONTINUATION, 0);
    }
    Ok(written)
}

/// The payload of a DATA or HEADERS frame without its padding; `None` if the padding is longer than the payload
/// (RFC 9113 §6.1).
pub(crate) fn without_padding(header: FrameHeader, payload: &[u8]) -> Option<&[u8]> {
    if !header.has(flag::PADDED) {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

/// A number of bytes as the size of a window, which can be negative.
pub(crate) fn window_size(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Reads an integer of 31 bits. The first bit is reserved (RFC 9113 §4.1).
pub(crate) fn u31(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & 0x7fff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read_as_it_was_written() {
        let header = FrameHeader {
            length: 0x01_0203,
            kind: kind::HEADERS,
            flags: flag::END_HEADERS,
            stream: 0x7fff_ffff,
        };
        let bytes = header.bytes();
        assert_eq!(bytes, [1, 2, 3, 1, 4, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(FrameHeader::read(&bytes), Some(header));
        assert_eq!(FrameHeader::read(&bytes[..8]), None);
        assert_eq!(FrameHeader::read(&[0, 0, 0, 0, 0, 0x80, 0, 0, 1]).unwrap().stream, 1, "a reserved bit");
    }

    #[test]
    fn large_field_block_is_continued() {
        let mut out = b"before".to_vec();
        let block = |length| {
            move |out: &mut Vec<u8>| {
                out.extend(vec![b'x'; length]);
                Ok((true, ()))
            }
        };
        put_field_block(&mut out, 3, 10, block(10)).unwrap();
        assert_eq!(out, b"before\0\0\x0a\x01\x05\0\0\0\x03xxxxxxxxxx");
        out.clear();
        put_field_block(&mut out, 3, 10, block(21)).unwrap();
        assert_eq!(
            out,
            b"\0\0\x0a\x01\x01\0\0\0\x03xxxxxxxxxx\0\0\x0a\x09\0\0\0\0\x03xxxxxxxxxx\0\0\x01\x09\x04\0\0\0\x03x"
        );
        let failed = put_field_block(&mut out, 3, 10, |out| -> std::io::Result<(bool, ())> {
            out.push(0);
            Err(std::io::ErrorKind::InvalidData.into())
        });
        assert!(failed.is_err() && out.len() == 48, "nothing is left of it");
    }

    #[test]
    fn padding_is_taken_off() {
        let header = |flags| FrameHeader { length: 0, kind: kind::DATA, flags, stream: 1 };
        assert_eq!(without_padding(header(0), b"\x02ab"), Some(&b"\x02ab"[..]));
        let padded = header(flag::PADDED);
        assert_eq!(without_padding(padded, b"\x02ab\0\0"), Some(&b"ab"[..]));
        assert_eq!(without_padding(padded, b"\x02\0\0"), Some(&b""[..]));
        assert_eq!(without_padding(padded, b"\x02\0"), None);
        assert_eq!(without_padding(padded, b""), None);
    }
}
