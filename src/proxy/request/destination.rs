//! URLs in a request: `Destination` (RFC 4918 §10.3) of WebDAV's COPY and MOVE, and `If`, which names resources. They have
//! Sidekey's host and the service's prefix, and the upstream must get them as URLs of its own.

use super::condition;
use crate::config::Authority;
use crate::runtime::base_path::escapes_base_path;
use crate::runtime::route::{MatchKind, Routes};
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

/// A URL leaves the base path of the upstream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct LeavesBasePath;

impl DestinationContext<'_> {
    /// Returns the two fields for the upstream, each `None` if it is passed on unchanged.
    pub(super) fn rewrite(
        &self,
        destination: Option<&[u8]>,
        condition: Option<&[u8]>,
    ) -> Result<(Option<String>, Option<String>), LeavesBasePath> {
        let destination = text(destination).map_or(Ok(None), |value| self.rewrite_url(value))?;
        let condition = text(condition).map_or(Ok(None), |value| self.rewrite_condition(value))?;
        Ok((destination, condition))
    }

    /// Returns an `If` (RFC 4918 §10.4) for the upstream: the URLs in front of its lists are rewritten as a `Destination` is.
    /// `None` if it is passed on unchanged.
    fn rewrite_condition(&self, value: &str) -> Result<Option<String>, LeavesBasePath> {
        let (mut rewritten, mut copied) = (String::new(), 0);
        for place in condition::resources(value) {
            if let Some(url) = self.rewrite_url(&value[place.clone()])? {
                rewritten.push_str(&value[copied..place.start]);
                rewritten.push_str(&url);
                copied = place.end;
            }
        }
        rewritten.push_str(&value[copied..]);
        Ok((copied > 0).then_some(rewritten))
    }

    /// Returns a URL for the upstream, or `None` if it is not a resource of the same service. It is then passed on unchanged, and
    /// the upstream decides.
    fn rewrite_url(&self, value: &str) -> Result<Option<String>, LeavesBasePath> {
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

fn text(value: Option<&[u8]>) -> Option<&str> {
    value.and_then(|value| std::str::from_utf8(value).ok())
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
            Some((Some(Authority::without_user(authority)), path))
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
            ("http://me:p@ss@a:1/x", Some((Some("a:1"), "/x"))),
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
