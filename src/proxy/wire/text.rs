//! Which bodies are texts, by the fields of their head.

use httparse::Header;

/// Whether a body with these fields is a text. One without a type may be, because recipients guess (RFC 9110 §8.3).
pub(crate) fn is_text(fields: &[Header<'_>]) -> bool {
    const TEXTS: [&str; 16] = [
        "json",
        "json-seq",
        "xml",
        "x-www-form-urlencoded",
        "javascript",
        "x-javascript",
        "ecmascript",
        "x-ndjson",
        "jsonl",
        "yaml",
        "x-yaml",
        "toml",
        "sql",
        "graphql",
        "jwt",
        "http",
    ];
    let mut types = values(fields, "content-type").peekable();
    if types.peek().is_none() {
        return true;
    }
    types.any(|value| {
        let name = String::from_utf8_lossy(media_type(value)).to_ascii_lowercase();
        let Some((kind, subtype)) = name.split_once('/') else { return true };
        let suffix = subtype.rsplit('+').next().unwrap_or_default();
        kind == "text" || TEXTS.contains(&suffix) || TEXTS.contains(&subtype)
    })
}

/// Whether the bytes of a text are others than its characters: it is compressed, or in UTF-16 or UTF-32.
pub(crate) fn is_encoded(fields: &[Header<'_>]) -> bool {
    let is_coded = |value: &[u8]| !value.is_empty() && !value.eq_ignore_ascii_case(b"identity");
    let is_wide = |value: &[u8]| {
        let value = String::from_utf8_lossy(value).to_ascii_lowercase();
        ["utf-16", "utf16", "utf-32", "utf32", "ucs-2", "ucs-4"].iter().any(|name| value.contains(name))
    };
    values(fields, "content-encoding").any(is_coded) || values(fields, "content-type").any(is_wide)
}

/// Whether a body is a stream of events, each of which is to arrive at once.
pub(crate) fn is_event_stream(fields: &[Header<'_>]) -> bool {
    values(fields, "content-type").any(|value| media_type(value).eq_ignore_ascii_case(b"text/event-stream"))
}

/// The media type without its parameters (RFC 9110 §8.3.1).
fn media_type(value: &[u8]) -> &[u8] {
    value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
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
            "application/x-yaml",
            "application/toml",
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
