//! What holds for the frames that one side of an HTTP/2 connection sends, whatever comes from the other one.

use parking_lot::Mutex;

use crate::net::buffer::Buffer;
use crate::net::http2::{Receiver, Role, Streams};
use crate::proto::http2::frame::{FrameHeader, HEADER_LENGTH, kind};
use crate::proto::http2::limits::MAX_FRAME;

/// Gives the frames of the peer to one side, in pieces of this size, and does `go_on` behind each piece. Asserts what holds for what is kept
/// and sent; `content_sent` is the length of the content that was sent before.
pub(super) fn exchange<R: Role>(
    frames: &[u8],
    size: usize,
    streams: &Mutex<Streams>,
    receiver: &mut Receiver<R>,
    mut content_sent: usize,
    mut go_on: impl FnMut(&mut Receiver<R>),
) {
    let mut input = Buffer::acquire();
    for piece in frames.chunks(size) {
        input.append(piece);
        let outcome = receiver.receive(&mut input, &mut streams.lock());
        assert!(
            input.filled().len() <= HEADER_LENGTH + MAX_FRAME as usize || outcome.is_err(),
            "a frame is kept"
        );
        streams.lock().begin_turn();
        go_on(receiver);
        if let Some(out) = streams.lock().take_out() {
            content_sent += assert_is_frames(out.filled());
        }
        if outcome.is_err() {
            break;
        }
    }
    // Nothing that came can open the windows further than to their limit.
    assert!(content_sent <= input_bound(frames), "more is sent than the windows allow");
}

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
fn input_bound(frames: &[u8]) -> usize {
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
