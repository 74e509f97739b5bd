//! `traceparent` (W3C Trace Context, Level 1 and 2): which trace a request belongs to, and what called.

use std::fmt;

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The trace is recorded.
const SAMPLED: u8 = 0x01;
/// The trace id's last seven bytes are random (Level 2). Passed on as it came.
const RANDOM: u8 = 0x02;

/// A trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub(crate) [u8; 16]);

/// A span; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub(crate) [u8; 8]);

/// What a `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace that the request belongs to.
    pub trace_id: TraceId,
    /// The span of whatever sent it.
    pub span_id: SpanId,
    /// `trace-flags`
    pub flags: u8,
}

impl Parent {
    /// Reads the value of a `traceparent`; `None` where it is not valid, so that a trace of its own is begun (§3.2.2).
    ///
    /// A later version may have more after the flags, behind a `-`; version ff, identifiers of zeros and upper-case digits are
    /// never valid.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let known = value.get(..LENGTH)?;
        let [version] = hex(&known[..2])?;
        let is_as_long_as_it_may_be = match version {
            0 => value.len() == LENGTH,
            0xff => false,
            _ => value.get(LENGTH).is_none_or(|next| *next == b'-'),
        };
        if !is_as_long_as_it_may_be || [2, 35, 52].iter().any(|at| known[*at] != b'-') {
            return None;
        }
        let [flags] = hex(&known[53..])?;
        let trace_id: [u8; 16] = hex(&known[3..35])?;
        let span_id: [u8; 8] = hex(&known[36..52])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(Self { trace_id: TraceId(trace_id), span_id: SpanId(span_id), flags })
    }

    /// Whether the trace is recorded by whoever sent the request.
    pub fn is_sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// Where an operation of Sidekey's own stands in a trace that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// The trace.
    pub trace_id: TraceId,
    /// The operation.
    pub span_id: SpanId,
    /// What it is a part of, where that is not a trace of its own.
    pub parent: Option<SpanId>,
    pub(crate) flags: u8,
}

impl Context {
    /// The first operation of a new trace.
    pub(crate) fn root(trace_id: TraceId, span_id: SpanId) -> Self {
        Self { trace_id, span_id, parent: None, flags: SAMPLED }
    }

    /// A child of the span that sent the request.
    pub(crate) fn child(parent: &Parent, span_id: SpanId) -> Self {
        // Flags that are not known are not passed on (§3.2.2.5).
        let flags = (parent.flags & RANDOM) | SAMPLED;
        Self { trace_id: parent.trace_id, span_id, parent: Some(parent.span_id), flags }
    }
}

/// As the value of `traceparent`.
impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id, self.span_id, self.flags)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Bytes from digits in lower case.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn parse(text: &str) -> Option<Parent> {
        Parent::parse(text.as_bytes())
    }

    #[test]
    fn reads_the_example_of_the_standard() {
        let parent = parse(GOOD).unwrap();
        assert_eq!(parent.trace_id.to_string(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parent.span_id.to_string(), "00f067aa0ba902b7");
        assert!(parent.is_sampled());
        assert!(!parse(&GOOD.replace("-01", "-00")).unwrap().is_sampled());
        assert!(!parse(&GOOD.replace("-01", "-fe")).unwrap().is_sampled());
    }

    #[test]
    fn refuses_what_is_not_valid() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0g-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01more",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_later_version_may_say_more() {
        let later = GOOD.replace("00-4", "cc-4");
        assert_eq!(parse(&later), parse(GOOD));
        assert_eq!(parse(&format!("{later}-what-the-future-will-be-like")), parse(GOOD));
    }

    #[test]
    fn is_continued_with_another_span_and_the_flags_that_are_known() {
        let parent = parse(&GOOD.replace("-01", "-ff")).unwrap();
        let context = Context::child(&parent, SpanId([0xab; 8]));
        assert_eq!(context.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-abababababababab-03");
        assert_eq!(context.parent, Some(parent.span_id));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Parent::parse(&bytes);
        }

        #[test]
        fn what_is_like_a_traceparent_means_itself_or_nothing(text in "[0-9a-fA-F-]{2}-[0-9a-f]{31,33}-[0-9a-f]{16}-[0-9a-f]{2}(-x)?") {
            if let Some(parent) = parse(&text) {
                let version = text.get(..2).unwrap();
                let again = format!("{version}-{}-{}-{:02x}", parent.trace_id, parent.span_id, parent.flags);
                prop_assert!(text.starts_with(&again), "{} of {}", again, text);
                prop_assert!(version != "00" || text.len() == LENGTH);
                prop_assert!(version != "ff");
            }
        }

        #[test]
        fn what_is_written_is_read_again(trace in any::<[u8; 16]>(), span in any::<[u8; 8]>()) {
            prop_assume!(trace != [0; 16] && span != [0; 8]);
            let context = Context::root(TraceId(trace), SpanId(span));
            let parent = parse(&context.to_string()).unwrap();
            prop_assert_eq!((parent.trace_id, parent.span_id), (TraceId(trace), SpanId(span)));
            prop_assert!(parent.is_sampled());
        }
    }
}
