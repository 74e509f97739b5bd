//! `Destination` (RFC 4918 §10.3) of WebDAV's COPY and MOVE: a URL with Sidekey's host and the service's prefix, which the
//! upstream must get as a URL of its own.

use crate::config::Authority;
use crate::runtime::route::{MatchKind, Routes, escapes_base_path};
use crate::upstream::Endpoint;

/// The request that a `Destination` belongs to.
pub(super) struct DestinationContext<'a> {
    pub(super) routes: &'a Routes,
    /// The service of the listener, if the listener belongs to one.
    pub(super) dedicated: Option<usize>,
    /// The authority that the caller wrote in its request.
    pub(super) authority: &'a str,
    pub(super) matched_by: MatchKind,
    pub(super) service: usize,
    pub(super) endpoint: &'a Endpoint,
}

/// The destination leaves the base path of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeavesBasePath;

impl DestinationContext<'_> {
    /// Returns the URL for the upstream, or `None` if the destination is not a resource of the same service. It is then
    /// passed on unchanged, and the upstream decides.
    pub(super) fn rewrite(&self, value: &[u8]) -> Result<Option<String>, LeavesBasePath> {
        let Ok(value) = std::str::from_utf8(value) else { return Ok(None) };
        let (authority, path) = match parts(value) {
            Some((Some(authority), path)) if Authority::is_same(authority, self.authority) => {
                (authority, path)
            }
            Some((None, path)) => (self.authority, path),
            _ => return Ok(None),
        };
        let is_absolute = self.matched_by == MatchKind::UpstreamUrl;
        let matched = self.routes.find(self.dedicated, authority, is_absolute, path);
        let Some(matched) = matched.filter(|matched| matched.service == self.service) else {
            return Ok(None);
        };
        let Endpoint { origin, base_path, .. } = self.endpoint;
        // Some URL parsers remove tabs first, and then find dot segments.
        let escapes = |path: &str| path.contains('\t') || escapes_base_path(path);
        if !base_path.is_empty() && escapes(matched.path_and_query) {
            return Err(LeavesBasePath);
        }
        Ok(Some(format!("{origin}{base_path}{}", matched.path_and_query)))
    }
}

/// The authority, if there is one, and the path of an absolute URL or an absolute path.
fn parts(value: &str) -> Option<(Option<&str>, &str)> {
    let after_scheme = match value.split_once("://") {
        Some((scheme, rest)) if ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) => {
            Some(rest)
        }
        _ => value.strip_prefix("//"),
    };
    match after_scheme {
        None => value.starts_with('/').then_some((None, value)),
        Some(rest) => {
            let (authority, path) = Authority::split(rest);
            Some((Some(authority), path))
        }
    }
}

/// The path and the query of an absolute URL or an absolute path.
pub(super) fn path(value: &str) -> Option<&str> {
    parts(value).map(|(_, path)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_splits_urls_and_paths() {
        for (value, expected) in [
            ("http://127.0.0.1:8080/crm/x", Some((Some("127.0.0.1:8080"), "/crm/x"))),
            ("HTTPS://a", Some((Some("a"), ""))),
            ("//a/x", Some((Some("a"), "/x"))),
            ("/crm/x?next=http://b", Some((None, "/crm/x?next=http://b"))),
            ("x", None),
            ("ftp://a/x", None),
            ("", None),
        ] {
            assert_eq!(parts(value), expected, "{value}");
        }
    }
}
