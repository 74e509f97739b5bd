//! What is signed of a body: its hash, a hash that the caller states, or a word in place of a hash.
//!
//! | `payload` | caller's `X-Amz-Content-Sha256` | service | body | what is signed |
//! |---|---|---|---|---|
//! | `auto`, `unsigned` | `STREAMING-UNSIGNED-PAYLOAD-TRAILER` | S3, by TLS | any | that word; the chunks have no signature and are passed on |
//! | otherwise | `STREAMING-…` | any | 64 KiB at most | the hash of the body without its chunks (`chunked`) |
//! | `unsigned` | any other | any | any | `UNSIGNED-PAYLOAD` |
//! | `auto`, `signed` | a hash | any | any | that hash, which the service compares with the body |
//! | `auto`, `signed` | none | any | 64 KiB at most | its hash: it is read first |
//! | `auto` | none | S3, by TLS | larger, or of unknown length | `UNSIGNED-PAYLOAD` |
//! | otherwise | | | | nothing: the request is refused |

use httparse::Header;
use ring::digest;

use crate::credential::{BodyNeed, MAX_SIGNED_BODY, OutboundBody, PendingBody};
use crate::secret::hex;

/// What stands in place of the hash of a body that is not signed.
pub(super) const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
/// The hash of no bytes.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
/// The framing of a body whose chunks have no signature, and whose trailers hold a checksum.
const UNSIGNED_CHUNKS: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
/// The field by which a caller states the hash, or the framing.
const FIELD: &str = "x-amz-content-sha256";

const CHUNKS_REFUSED: &str = "The body is in chunks that the caller signed with a key of its own, or that the service does not accept in \
     this way, and it is larger than Sidekey holds to sign it again (64 KiB); switch chunked encoding off in the client. Nothing was \
     forwarded.";

/// Which bodies are signed (`payload`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::credential) enum PayloadRule {
    /// Every body that can be; a large one for S3 is protected by TLS alone.
    Auto,
    /// Every body.
    Signed,
    /// None.
    Unsigned,
}

/// What is known of the service that gets a body.
#[derive(Debug, Clone, Copy)]
pub(super) struct PayloadContext {
    pub(super) rule: PayloadRule,
    pub(super) is_s3: bool,
    pub(super) is_in_query: bool,
}

/// What is signed of a body that was not read.
enum Streamed<'a> {
    /// This word or hash.
    As(&'a str),
    /// Its hash, so that it must be read first.
    Read,
    /// Its hash, without the chunks that it is in.
    Unwrap,
}

impl PayloadContext {
    /// What is needed of a body before the head is written.
    pub(super) fn need(self, body: &PendingBody<'_>) -> BodyNeed {
        match self.streamed(body.fields, body.origin, body.length) {
            Streamed::As(_) => BodyNeed::None,
            Streamed::Read => BodyNeed::Complete { max: MAX_SIGNED_BODY },
            Streamed::Unwrap if body.length.is_some_and(|length| length > MAX_SIGNED_BODY as u64) => {
                BodyNeed::Refused(CHUNKS_REFUSED)
            }
            Streamed::Unwrap => BodyNeed::Rewrite { max: MAX_SIGNED_BODY },
        }
    }

    /// The hash, or the word in its place; `None` if the body must be read first.
    pub(super) fn text<'a>(
        self,
        body: &OutboundBody<'_>,
        fields: &'a [Header<'a>],
        origin: &str,
    ) -> Option<std::borrow::Cow<'a, str>> {
        if self.is_s3 && self.is_in_query {
            return Some(UNSIGNED.into());
        }
        match body {
            OutboundBody::Empty => Some(EMPTY.into()),
            OutboundBody::Complete(bytes) => {
                Some(hex(digest::digest(&digest::SHA256, bytes).as_ref()).into())
            }
            OutboundBody::Streaming => match self.streamed(fields, origin, None) {
                Streamed::As(text) => Some(text.into()),
                Streamed::Read | Streamed::Unwrap => None,
            },
        }
    }

    fn streamed<'a>(self, fields: &'a [Header<'a>], origin: &str, length: Option<u64>) -> Streamed<'a> {
        let is_tls = origin.starts_with("https:");
        let stated = stated(fields);
        if let Some(word) = stated.filter(|text| text.starts_with("STREAMING-")) {
            let is_accepted = word == UNSIGNED_CHUNKS
                && self.is_s3
                && !self.is_in_query
                && match self.rule {
                    PayloadRule::Auto => is_tls,
                    PayloadRule::Signed => false,
                    PayloadRule::Unsigned => true,
                };
            return if is_accepted { Streamed::As(word) } else { Streamed::Unwrap };
        }
        if self.rule == PayloadRule::Unsigned || (self.is_s3 && self.is_in_query) {
            return Streamed::As(UNSIGNED);
        }
        if let Some(hash) = stated.filter(|text| is_hash(text)) {
            return Streamed::As(hash);
        }
        let is_large = length.is_none_or(|length| length > MAX_SIGNED_BODY as u64);
        if self.rule == PayloadRule::Auto && self.is_s3 && is_tls && is_large {
            return Streamed::As(UNSIGNED);
        }
        Streamed::Read
    }
}

/// What the caller states of the body.
fn stated<'a>(fields: &'a [Header<'a>]) -> Option<&'a str> {
    let field = fields.iter().find(|field| field.name.eq_ignore_ascii_case(FIELD))?;
    std::str::from_utf8(field.value).ok().map(str::trim)
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";
    const READ: BodyNeed = BodyNeed::Complete { max: MAX_SIGNED_BODY };
    const AUTO: PayloadContext = PayloadContext { rule: PayloadRule::Auto, is_s3: true, is_in_query: false };

    fn need(context: PayloadContext, stated: &str, origin: &str, length: Option<u64>) -> BodyNeed {
        let fields = [Header { name: "X-Amz-Content-Sha256", value: stated.as_bytes() }];
        context.need(&PendingBody { origin, fields: &fields, length })
    }

    fn text(context: PayloadContext, stated: &str, origin: &str) -> Option<String> {
        let fields = [Header { name: "x-amz-content-sha256", value: stated.as_bytes() }];
        context.text(&OutboundBody::Streaming, &fields, origin).map(std::borrow::Cow::into_owned)
    }

    #[test]
    fn large_body_is_unsigned_for_s3_by_tls_only() {
        let other = PayloadContext { is_s3: false, ..AUTO };
        let signed = PayloadContext { rule: PayloadRule::Signed, ..AUTO };
        for (context, origin, length, expected) in [
            (AUTO, "https://s3.example", Some(64 * 1024), READ),
            (AUTO, "https://s3.example", Some(64 * 1024 + 1), BodyNeed::None),
            (AUTO, "https://s3.example", None, BodyNeed::None),
            (AUTO, "http://s3.example", None, READ),
            (signed, "https://s3.example", None, READ),
            (other, "https://es.example", None, READ),
        ] {
            assert_eq!(need(context, "", origin, length), expected, "{context:?} {origin} {length:?}");
        }
        assert_eq!(text(AUTO, "", "https://s3.example").as_deref(), Some(UNSIGNED));
        assert_eq!(text(AUTO, "", "http://s3.example"), None);
    }

    #[test]
    fn hash_of_the_caller_is_signed_unless_the_body_is_unsigned() {
        for context in [AUTO, PayloadContext { is_s3: false, rule: PayloadRule::Signed, ..AUTO }] {
            assert_eq!(need(context, HASH, "http://a.example", None), BodyNeed::None);
            assert_eq!(text(context, HASH, "http://a.example").as_deref(), Some(HASH));
        }
        let unsigned = PayloadContext { rule: PayloadRule::Unsigned, ..AUTO };
        assert_eq!(text(unsigned, HASH, "http://a.example").as_deref(), Some(UNSIGNED));
        for other in ["UNSIGNED-PAYLOAD", "9095", &HASH.to_uppercase()] {
            assert_eq!(need(AUTO, other, "http://a.example", Some(1)), READ, "{other}");
        }
    }

    #[test]
    fn chunks_are_passed_on_if_they_have_no_signature() {
        let https = "https://s3.example";
        let (rewrite, in_query) =
            (BodyNeed::Rewrite { max: MAX_SIGNED_BODY }, PayloadContext { is_in_query: true, ..AUTO });
        assert_eq!(need(AUTO, UNSIGNED_CHUNKS, https, None), BodyNeed::None);
        assert_eq!(text(AUTO, UNSIGNED_CHUNKS, https).as_deref(), Some(UNSIGNED_CHUNKS));
        assert_eq!(need(AUTO, UNSIGNED_CHUNKS, "http://s3.example", Some(1)), rewrite);
        assert_eq!(need(in_query, UNSIGNED_CHUNKS, https, Some(1)), rewrite);
        for rule in [PayloadRule::Auto, PayloadRule::Signed, PayloadRule::Unsigned] {
            let context = PayloadContext { rule, ..AUTO };
            for word in ["STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"] {
                assert_eq!(need(context, word, https, Some(65_536)), rewrite, "{rule:?} {word}");
                assert!(
                    matches!(need(context, word, https, Some(65_537)), BodyNeed::Refused(_)),
                    "{rule:?} {word}"
                );
                assert_eq!(text(context, word, https), None);
            }
        }
    }
}
