//! The first part of a text is searched for the credential as it passes (`leak_guard: body`).
//!
//! What may be the beginning of the credential is held back until the next bytes decide. Everything else passes at once.

use std::sync::Arc;

use httparse::Header;

use super::framing::Framing;
use super::leak_guard::LeakGuard;
use crate::secret::{Echoes, Masked};

/// The number of bytes of a body in which the credential is looked for. One that begins in them is masked whole.
const SEARCHED_BYTES: usize = 64 * 1024;

/// Masks the credential in the body of one response.
pub(crate) struct BodyGuard<'g> {
    guard: LeakGuard<'g>,
    echoes: Box<[Arc<Echoes>]>,
    /// Content that was read and not passed on.
    held: Vec<u8>,
    /// The number of bytes, from the first one that is held, in which the credential is looked for.
    remaining: usize,
}

impl<'g> BodyGuard<'g> {
    /// A guard for the body of a response with these fields; `None` if there is no body, or if it is not searched. A text that cannot
    /// be searched is counted and logged.
    pub(crate) fn of(
        guard: LeakGuard<'g>,
        echoes: Vec<Arc<Echoes>>,
        fields: &[Header<'_>],
        framing: &Framing,
    ) -> Option<Box<Self>> {
        let echoes: Box<[_]> = echoes.into_iter().filter(|echoes| !echoes.is_empty()).collect();
        if framing.is_done() || echoes.is_empty() || !is_text(fields) {
            return None;
        }
        if is_encoded(fields) {
            guard.report_unsearched();
            return None;
        }
        Some(Box::new(Self { guard, echoes, held: Vec::new(), remaining: SEARCHED_BYTES }))
    }

    /// Whether the rest of the body passes as it is.
    pub(super) fn is_done(&self) -> bool {
        self.remaining == 0 && self.held.is_empty()
    }

    /// Adds content, which [`release`](Self::release) hands out.
    pub(super) fn read(&mut self, content: &[u8]) {
        self.held.extend_from_slice(content);
    }

    /// Masks the credential in the content, and hands out what can be passed on: all of it, if it `is_last`.
    pub(super) fn release(&mut self, is_last: bool, pass: impl FnOnce(&[u8])) {
        let mut total = Masked { count: 0, pending: 0 };
        for echoes in &self.echoes {
            let Masked { count, pending } = echoes.mask_part(&mut self.held, self.remaining, is_last);
            total = Masked { count: total.count + count, pending: total.pending.max(pending) };
        }
        if total.count > 0 {
            self.guard.report_body(total.count);
        }
        let released = self.held.len() - total.pending;
        pass(&self.held[..released]);
        self.held.drain(..released);
        self.remaining = self.remaining.saturating_sub(released);
    }
}

/// Whether a body with these fields is a text. One without a type may be, because recipients guess (RFC 9110 §8.3).
fn is_text(fields: &[Header<'_>]) -> bool {
    const TEXTS: [&str; 10] = [
        "json",
        "xml",
        "x-www-form-urlencoded",
        "javascript",
        "x-javascript",
        "ecmascript",
        "x-ndjson",
        "jsonl",
        "yaml",
        "http",
    ];
    let mut types = values(fields, "content-type").peekable();
    if types.peek().is_none() {
        return true;
    }
    types.any(|value| {
        let name = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let Some((kind, subtype)) = name.split_once('/') else { return true };
        let suffix = subtype.rsplit('+').next().unwrap_or_default();
        kind == "text" || TEXTS.contains(&suffix) || TEXTS.contains(&subtype)
    })
}

/// Whether the bytes of a text are others than its characters: it is compressed, or in UTF-16 or UTF-32.
fn is_encoded(fields: &[Header<'_>]) -> bool {
    let is_coded = |value: &[u8]| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity");
    let is_wide = |value: &[u8]| {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        ["utf-16", "utf16", "utf-32", "utf32", "ucs-2", "ucs-4"].iter().any(|name| value.contains(name))
    };
    values(fields, "content-encoding").any(is_coded) || values(fields, "content-type").any(is_wide)
}

/// The values of the fields of this name.
fn values<'a>(fields: &'a [Header<'a>], name: &str) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields<'a>(content_type: &'a str, coding: &'a str) -> [Header<'a>; 2] {
        [("Content-TYPE", content_type), ("content-encoding", coding)]
            .map(|(name, value)| Header { name, value: value.as_bytes() })
    }

    #[test]
    fn texts_are_known_by_their_type() {
        for text in [
            "text/html; charset=utf-8",
            "TEXT/PLAIN",
            "text/event-stream",
            "application/json",
            "Application/Problem+JSON ; charset=utf-8",
            "application/xml",
            "image/svg+xml",
            "application/x-www-form-urlencoded",
            "application/javascript",
            "message/http",
            "",
            "garbage",
        ] {
            assert!(is_text(&fields(text, "")), "{text}");
        }
        for other in [
            "application/octet-stream",
            "image/png",
            "application/grpc",
            "application/grpc-web-text",
            "video/mp4",
        ] {
            assert!(!is_text(&fields(other, "")), "{other}");
        }
        assert!(is_text(&[]), "a recipient would guess");
    }

    #[test]
    fn encoded_texts_are_known() {
        for (content_type, coding) in [
            ("text/plain", "gzip"),
            ("text/plain", " BR "),
            ("text/plain; charset=UTF-16LE", ""),
            ("text/plain", "identity, gzip"),
        ] {
            assert!(is_encoded(&fields(content_type, coding)), "{content_type} {coding}");
        }
        for (content_type, coding) in [("text/plain; charset=utf-8", "Identity"), ("text/plain", "")] {
            assert!(!is_encoded(&fields(content_type, coding)), "{content_type} {coding}");
        }
    }
}
