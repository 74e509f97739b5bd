//! Frames that tests of both sides send.

use crate::harness::{Frame, frame};

/// A SETTINGS frame with one setting.
pub fn settings(setting: u16, value: u32) -> Vec<u8> {
    frame(Frame::SETTINGS, 0, 0, &[&setting.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

/// A WINDOW_UPDATE frame.
pub fn window_update(stream: u32, increment: u32) -> Vec<u8> {
    frame(Frame::WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}
