//! The property of URLs in response fields: what is rewritten has no query credential left, differs in its URLs only, and is
//! not rewritten differently the next time.
//!
//! An input is the name of a field and its value, each on a line of its own.

use std::cell::Cell;

use http::HeaderValue;

use crate::credential::Owned;
use crate::proto::fields::HeaderClass;
use crate::proxy::fuzzing::{CallerAuthority, Locations, ResponseUrls};
use crate::runtime::route::MatchKind;

/// Checks the property on a field.
pub fn response_urls(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let (Some(name), Some(value)) = (lines.next(), lines.next()) else { return };
    let (Ok(name), Ok(_)) = (std::str::from_utf8(name), HeaderValue::from_bytes(value)) else { return };
    let class = HeaderClass::of(name);
    let owned = Owned::default().with_query("key");
    let caller_authority = CallerAuthority::of("127.0.0.1:8080");
    for matched_by in [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl] {
        let urls = parameters(&owned, &caller_authority, matched_by);
        let Some(rewritten) = urls.rewrite(class, value) else { continue };
        assert!(HeaderValue::from_str(&rewritten).is_ok(), "a value that cannot be sent: {rewritten:?}");
        let stripped = urls.stripped.replace(0);
        // Only what is stripped leaves something out: a URL of Sidekey has no part of the credential.
        let urls = ResponseUrls { locations: None, ..urls };
        let again = urls.rewrite(class, rewritten.as_bytes());
        assert_eq!(again, None, "{stripped} stripped, and more the second time: {rewritten}");
        // A value that is not UTF-8 is encoded as a whole.
        if class == HeaderClass::Link && std::str::from_utf8(value).is_ok() {
            assert_eq!(
                around_targets(rewritten.as_bytes()),
                around_targets(value),
                "more than targets is rewritten"
            );
        }
    }
}

/// What URLs are rewritten with, for an upstream at `https://crm.example.com/v2`.
pub(super) fn parameters<'a>(
    owned: &'a Owned,
    caller_authority: &'a CallerAuthority,
    matched_by: MatchKind,
) -> ResponseUrls<'a> {
    let locations =
        Locations { name: "crm", is_tls: true, authority: "crm.example.com", base_path: "/v2", matched_by };
    ResponseUrls {
        locations: Some(locations),
        is_caller_tls: false,
        caller_authority,
        owned,
        stripped: Cell::new(0),
    }
}

/// The ASCII characters of a `Link` value without its targets, as RFC 8288 §3 has them.
fn around_targets(value: &[u8]) -> Vec<u8> {
    let (mut is_target, mut is_quoted, mut is_escaped) = (false, false, false);
    let mut kept = Vec::new();
    for byte in value {
        match byte {
            b'>' if is_target => is_target = false,
            _ if is_target => continue,
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted => is_target = true,
            _ => {}
        }
        if byte.is_ascii() {
            kept.push(*byte);
        }
    }
    kept
}
