//! The property of URLs in response fields: what is rewritten has no query credential left, differs in its URLs only, and is
//! not rewritten differently the next time.
//!
//! An input is the name of a field and its value, each on a line of its own.

use std::cell::Cell;

use http::HeaderValue;

use super::plain_link::PlainLink;
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
        let rewritten = urls.rewrite(class, value);
        if let (HeaderClass::Link, Ok(value)) = (class, std::str::from_utf8(value)) {
            check_link(&urls, value, rewritten.as_deref().unwrap_or(value));
        }
        let Some(rewritten) = rewritten else { continue };
        assert!(HeaderValue::from_str(&rewritten).is_ok(), "a value that cannot be sent: {rewritten:?}");
        let stripped = urls.stripped.replace(0);
        // Only what is stripped leaves something out: a URL of Sidekey has no part of the credential.
        let urls = ResponseUrls { locations: None, ..urls };
        let again = urls.rewrite(class, rewritten.as_bytes());
        assert_eq!(again, None, "{stripped} stripped, and more the second time: {rewritten}");
    }
}

/// A second reader finds the same links, each with its target rewritten as a URL of its own.
fn check_link(urls: &ResponseUrls<'_>, value: &str, rewritten: &str) {
    let (link, found) = (PlainLink::read(value), PlainLink::read(rewritten));
    let stripped = urls.stripped.get();
    let target = |target: String| urls.rewrite(HeaderClass::UrlValue, target.as_bytes()).unwrap_or(target);
    let expected: Vec<_> = link.targets.into_iter().map(target).collect();
    urls.stripped.set(stripped);
    assert_eq!(found.targets, expected, "another target");
    assert_eq!((found.around, found.rest), (link.around, link.rest), "more than targets is rewritten");
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
