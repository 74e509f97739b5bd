//! What holds for the frames that one side of an HTTP/2 connection sends, whatever comes from the other one.

use crate::proto::http2::frame::{FrameHeader, HEADER_LENGTH, kind};

/// Asserts that `bytes` are whole frames, and returns the length of the content in them.
pub(super) fn assert_is_frames(mut bytes: &[u8]) -> usize {
    let mut content = 0;
    while let Some(header) = FrameHeader::read(bytes) {
        assert!(header.kind <= kind::CONTINUATION && header.length < 1 << 24);
        bytes = bytes.get(HEADER_LENGTH + header.length..).expect("a whole frame");
        if header.kind == kind::DATA {
            content += header.length;
        }
    }
    assert!(bytes.is_empty(), "a part of a frame is sent");
    content
}

/// What the windows can allow: that of the connection at its beginning, and each WINDOW_UPDATE frame of the input.
pub(super) fn input_bound(frames: &[u8]) -> usize {
    let mut bound = 65_535_usize;
    for window in frames.windows(HEADER_LENGTH + 4) {
        let header = FrameHeader::read(window).expect("a header");
        if header.kind == kind::WINDOW_UPDATE && header.length == 4 && header.stream == 0 {
            let [.., a, b, c, d] = *window else { continue };
            bound = bound.saturating_add((u32::from_be_bytes([a, b, c, d]) & 0x7fff_ffff) as usize);
        }
    }
    bound
}
