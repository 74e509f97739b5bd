//! The frames that a caller sends (RFC 9113 §4), and the field blocks in them.

use std::sync::Arc;

use super::field_block::FieldBlock;
use super::findings::Findings;
use super::flood::FloodGuard;
use super::names::Names;
use crate::proto::http2::limits::MAX_FRAME;

/// The length of the connection preface (RFC 9113 §3.4).
const PREFACE_LENGTH: usize = 24;
const FRAME_HEADER_LENGTH: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 0x4;
const PADDED: u8 = 0x8;
const PRIORITY: u8 = 0x20;
/// The limit on a field block, in bytes. The `h2` crate ends a connection before that.
const MAX_BLOCK_BYTES: usize = 256 * 1024;
/// The capacity for field blocks that is kept. A larger block is rare.
const KEPT_BLOCK_BYTES: usize = 4096;

/// Reads the bytes of a connection in the order in which they come.
pub struct Inspector {
    findings: Arc<Findings>,
    /// The number of bytes of the preface that are to come.
    preface_left: usize,
    /// The part of a frame's header that has come, and its length.
    header: [u8; FRAME_HEADER_LENGTH],
    header_read: usize,
    /// The number of bytes of the frame that are to come.
    payload_left: usize,
    /// The field block so far.
    block: Vec<u8>,
    /// The names that field blocks refer to.
    names: Names,
    /// Whether the block goes on in a CONTINUATION frame.
    is_block_open: bool,
    /// The largest stream that was opened. A field block of another one has trailers.
    last_stream: u32,
    /// Whether something was not valid. The rest of the connection is malformed, and is not read.
    has_failed: bool,
    flood: FloodGuard,
}

impl Inspector {
    /// Reads a connection from its preface on. What is found is in `findings`.
    pub fn new(findings: Arc<Findings>) -> Self {
        Self {
            findings,
            preface_left: PREFACE_LENGTH,
            header: [0; FRAME_HEADER_LENGTH],
            header_read: 0,
            payload_left: 0,
            block: Vec::new(),
            names: Names::default(),
            is_block_open: false,
            last_stream: 0,
            has_failed: false,
            flood: FloodGuard::default(),
        }
    }

    /// Whether nothing but frames without content came for a while.
    pub fn is_in_long_row(&self) -> bool {
        self.flood.is_in_long_row()
    }

    /// Reads the next bytes.
    pub fn inspect(&mut self, bytes: &[u8]) {
        if !self.has_failed && self.frames(bytes).is_none() {
            self.has_failed = true;
            self.block = Vec::new();
            self.findings.add_malformed(self.stream());
        }
    }

    /// Reads frames; `None` if one is not valid.
    fn frames(&mut self, mut bytes: &[u8]) -> Option<()> {
        let preface = self.preface_left.min(bytes.len());
        self.preface_left -= preface;
        bytes = &bytes[preface..];
        while !bytes.is_empty() {
            if self.header_read < FRAME_HEADER_LENGTH {
                let (part, rest) = bytes.split_at(bytes.len().min(FRAME_HEADER_LENGTH - self.header_read));
                self.header[self.header_read..][..part.len()].copy_from_slice(part);
                self.header_read += part.len();
                bytes = rest;
                if self.header_read < FRAME_HEADER_LENGTH {
                    break;
                }
                self.begin_frame()?;
            }
            let (part, rest) = bytes.split_at(bytes.len().min(self.payload_left));
            self.payload_left -= part.len();
            bytes = rest;
            if self.has_field_block() {
                self.block.extend_from_slice(part);
            }
            if self.payload_left == 0 {
                self.header_read = 0;
                if self.has_field_block() {
                    self.end_frame()?;
                }
            }
        }
        Some(())
    }

    /// Whether the frame has a part of a field block.
    fn has_field_block(&self) -> bool {
        matches!(self.header[3], HEADERS | CONTINUATION)
    }

    /// The stream of the frame.
    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.header;
        u32::from_be_bytes([a, b, c, d]) & (u32::MAX >> 1)
    }

    /// Checks the header of a frame.
    fn begin_frame(&mut self) -> Option<()> {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.payload_left = length as usize;
        if self.flood.is_flood(kind, flags, self.payload_left) {
            self.findings.add_flood();
        }
        let is_too_large = length > MAX_FRAME || self.block.len() + self.payload_left > MAX_BLOCK_BYTES;
        // Nothing may come between the parts of a field block (RFC 9113 §4.3).
        (!is_too_large && self.is_block_open == (kind == CONTINUATION)).then_some(())
    }

    /// Reads the field block if this frame is its last one.
    fn end_frame(&mut self) -> Option<()> {
        let [_, _, _, kind, flags, ..] = self.header;
        if kind == HEADERS {
            self.remove_padding(flags)?;
        }
        self.is_block_open = flags & END_HEADERS == 0;
        if self.is_block_open {
            return Some(());
        }
        let found = FieldBlock::read(&self.block, &mut self.names)?;
        self.block.clear();
        self.block.shrink_to(KEPT_BLOCK_BYTES);
        let stream = self.stream();
        if found.has_fragment {
            self.findings.add_malformed(stream);
        }
        if stream > self.last_stream {
            self.last_stream = stream;
        } else {
            self.findings.add_trailers(stream, found.field_count);
        }
        Some(())
    }

    /// Removes what is around the field block of a HEADERS frame: padding and priority (RFC 9113 §6.2).
    fn remove_padding(&mut self, flags: u8) -> Option<()> {
        let is_padded = flags & PADDED != 0;
        let padding = if is_padded { usize::from(*self.block.first()?) } else { 0 };
        let before = usize::from(is_padded) + if flags & PRIORITY != 0 { 5 } else { 0 };
        let end = self.block.len().checked_sub(padding).filter(|end| *end >= before)?;
        self.block.truncate(end);
        self.block.drain(..before);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// What is found if the bytes come in pieces of this size.
    fn inspect_pieces(bytes: &[u8], size: usize) -> Arc<Findings> {
        let findings = Arc::new(Findings::default());
        let mut inspector = Inspector::new(findings.clone());
        bytes.chunks(size).for_each(|piece| inspector.inspect(piece));
        findings
    }

    /// Which of the streams 1 and 3 are rejected, and the numbers of fields of their trailer sections. They are the
    /// same whatever the size of the pieces in which the frames come.
    fn inspect(frames: &[Vec<u8>]) -> ([bool; 2], [Option<usize>; 2]) {
        let bytes = [PREFACE, &frames.concat()].concat();
        let findings = |size| inspect_pieces(&bytes, size);
        let mut results = (1..=bytes.len()).map(|size| {
            let malformed = [1, 3].map(|stream| findings(size).rejection(stream).is_some());
            // A check takes the number out of the findings.
            let is_count = |stream, count: &usize| findings(size).check_trailers(stream, *count);
            (malformed, [1, 3].map(|stream| (0..9).find(|count| is_count(stream, count))))
        });
        let first = results.next().unwrap();
        assert!(results.all(|result| result == first));
        first
    }

    fn malformed(frames: &[Vec<u8>]) -> [bool; 2] {
        inspect(frames).0
    }

    // `:method: GET`, `:scheme: http`, and `:path` as a literal.
    const GOOD: &[u8] = b"\x82\x86\x04\x02/x";
    const FRAGMENT: &[u8] = b"\x82\x86\x04\x04/x#y";

    #[test]
    fn fragment_in_path_makes_its_stream_malformed() {
        assert_eq!(malformed(&[frame(HEADERS, 5, 1, GOOD)]), [false, false]);
        let both = [frame(HEADERS, 5, 1, GOOD), frame(0, 1, 1, b"/x#y"), frame(HEADERS, 5, 3, FRAGMENT)];
        assert_eq!(malformed(&both), [false, true]);
        let padded = [&[2][..], &[0, 0, 0, 0, 9], FRAGMENT, &[0, 0]].concat();
        assert_eq!(malformed(&[frame(HEADERS, 5 | PADDED | PRIORITY, 1, &padded)]), [true, true]);
        let (one, two) = FRAGMENT.split_at(5);
        let parts = |block: &[u8]| {
            let (one, two) = block.split_at(5);
            [frame(HEADERS, 1, 1, one), frame(CONTINUATION, 4, 1, two), frame(HEADERS, 5, 3, FRAGMENT)]
        };
        assert_eq!(malformed(&parts(GOOD)), [false, true]);
        assert_eq!(malformed(&[frame(HEADERS, 1, 1, one), frame(CONTINUATION, 4, 1, two)]), [true, true]);
    }

    #[test]
    fn fields_of_trailer_sections_are_counted() {
        let trailers = |block: &[u8]| {
            inspect(&[frame(HEADERS, 4, 1, GOOD), frame(0, 0, 1, b"data"), frame(HEADERS, 5, 1, block)])
        };
        for (block, count) in [(&b"\x00\x05x-sum\x017"[..], 1), (b"\x82\x00\x05x-sum\x017\xbe", 3), (b"", 0)]
        {
            assert_eq!(trailers(block), ([false, false], [Some(count), None]), "{}", block.escape_ascii());
        }
    }

    #[test]
    fn what_is_not_valid_makes_the_rest_malformed() {
        let large = vec![0; MAX_FRAME as usize + 1];
        for frames in [
            vec![frame(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff")],
            vec![frame(HEADERS, 5 | PADDED, 1, b"")],
            vec![frame(HEADERS, 5 | PADDED, 1, b"\x03\x82\x86")],
            vec![frame(HEADERS, 5 | PRIORITY, 1, b"\x00\x00\x00\x00")],
            vec![frame(CONTINUATION, 4, 1, GOOD)],
            vec![frame(HEADERS, 1, 1, GOOD), frame(HEADERS, 5, 3, GOOD)],
            vec![frame(HEADERS, 1, 1, GOOD), frame(0, 0, 1, b"")],
        ] {
            assert!(malformed(&frames)[1], "{frames:?}");
        }
        let mut inspector = Inspector::new(Arc::default());
        inspector.inspect(PREFACE);
        inspector.inspect(&frame(0, 0, 1, &large));
        assert!(inspector.has_failed && inspector.findings.has_malformed());
    }

    #[test]
    fn endless_block_is_not_kept() {
        let mut inspector = Inspector::new(Arc::default());
        inspector.inspect(PREFACE);
        inspector.inspect(&frame(HEADERS, 1, 1, GOOD));
        for _ in 0..100 {
            inspector.inspect(&frame(CONTINUATION, 0, 1, &[0x82; 16 * 1024]));
            assert!(inspector.block.capacity() <= 2 * MAX_BLOCK_BYTES);
        }
        assert!(inspector.has_failed && inspector.block.capacity() == 0);
    }

    proptest! {
        #[test]
        fn any_frames_are_inspected_in_the_same_way_in_pieces(
            frames in proptest::collection::vec(
                (0_u8..12, any::<u8>(), 0_u32..6, proptest::collection::vec(any::<u8>(), 0..40)),
                0..6,
            ),
            size in 1_usize..60,
        ) {
            let frames = frames.iter().map(|(kind, flags, stream, payload)| frame(*kind, *flags, *stream, payload));
            let bytes = [PREFACE, &frames.collect::<Vec<_>>().concat()].concat();
            let rejections = |size| {
                let findings = inspect_pieces(&bytes, size);
                (0..6).map(|stream| findings.rejection(stream)).collect::<Vec<_>>()
            };
            prop_assert_eq!(rejections(size), rejections(bytes.len()));
        }
    }
}
