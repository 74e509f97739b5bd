//! What was found in the field blocks of one connection.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::atomic::{self, AtomicBool, AtomicU32};

use h2::Reason;
use parking_lot::Mutex;

/// The limit on trailer sections that are remembered. It is above the number of concurrent streams, so that only those
/// of streams that have ended are forgotten.
const MAX_TRAILER_SECTIONS: usize = 512;

/// What was found in the field blocks of one connection.
#[derive(Debug)]
pub struct Findings {
    /// The first malformed stream. Later ones may refer to its fields, so they count as malformed as well.
    malformed_from: AtomicU32,
    /// Each stream whose trailer section has come and is not checked yet, with its number of fields.
    trailers: Mutex<VecDeque<(u32, usize)>>,
    /// Whether the caller floods the connection.
    is_flood: AtomicBool,
}

impl Default for Findings {
    fn default() -> Self {
        Self {
            malformed_from: AtomicU32::new(u32::MAX),
            trailers: Mutex::default(),
            is_flood: AtomicBool::new(false),
        }
    }
}

impl Findings {
    /// The error code for a stream that must not be served: it is malformed, or came after one that is. What came after
    /// it was not processed, and may be sent again.
    pub fn rejection(&self, stream: u32) -> Option<Reason> {
        match stream.cmp(&self.malformed_from.load(atomic::Ordering::Relaxed)) {
            Ordering::Less => None,
            Ordering::Equal => Some(Reason::PROTOCOL_ERROR),
            Ordering::Greater => Some(Reason::REFUSED_STREAM),
        }
    }

    /// Whether a stream is malformed, so that the connection should end.
    pub fn has_malformed(&self) -> bool {
        self.malformed_from.load(atomic::Ordering::Relaxed) != u32::MAX
    }

    /// Whether the caller sends so many frames without content that the connection must end (RFC 9113 §10.5).
    pub fn is_flood(&self) -> bool {
        self.is_flood.load(atomic::Ordering::Relaxed)
    }

    /// Whether the trailer section of a stream had this number of fields. Otherwise some were dropped.
    pub fn check_trailers(&self, stream: u32, field_count: usize) -> bool {
        let mut trailers = self.trailers.lock();
        let found = trailers.iter().position(|(of, _)| *of == stream);
        let came = found.and_then(|index| trailers.remove(index));
        came == Some((stream, field_count)) && self.rejection(stream).is_none()
    }

    pub(super) fn add_malformed(&self, stream: u32) {
        self.malformed_from.fetch_min(stream, atomic::Ordering::Relaxed);
    }

    pub(super) fn add_flood(&self) {
        self.is_flood.store(true, atomic::Ordering::Relaxed);
    }

    pub(super) fn add_trailers(&self, stream: u32, field_count: usize) {
        let mut trailers = self.trailers.lock();
        if trailers.len() >= MAX_TRAILER_SECTIONS {
            trailers.pop_front();
        }
        trailers.push_back((stream, field_count));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_from_the_first_malformed_one_on_are_rejected() {
        let findings = Findings::default();
        assert!(findings.rejection(1).is_none() && !findings.has_malformed());
        findings.add_malformed(5);
        findings.add_malformed(7);
        assert!(findings.has_malformed());
        let (malformed, refused) = (Some(Reason::PROTOCOL_ERROR), Some(Reason::REFUSED_STREAM));
        assert_eq!(
            [3, 5, 7, 9].map(|stream| findings.rejection(stream)),
            [None, malformed, refused, refused]
        );
    }

    #[test]
    fn trailer_section_is_checked_once_against_its_count() {
        let findings = Findings::default();
        findings.add_trailers(1, 2);
        findings.add_trailers(3, 2);
        assert!(findings.check_trailers(1, 2));
        assert!(!findings.check_trailers(1, 2), "it has been checked");
        assert!(!findings.check_trailers(3, 1), "a field was dropped");
        assert!(!findings.check_trailers(5, 0), "none has come");
    }

    #[test]
    fn oldest_trailer_section_is_forgotten_at_the_limit() {
        let findings = Findings::default();
        for stream in 0..=u32::try_from(MAX_TRAILER_SECTIONS).unwrap() {
            findings.add_trailers(stream, 1);
        }
        assert!(!findings.check_trailers(0, 1));
        assert!(findings.check_trailers(1, 1));
    }
}
