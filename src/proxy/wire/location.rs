//! Rewrites one URL of a response, such as a `Location` (RFC 9110 §10.2.2). A URL below the service's upstream
//! becomes a path in the form in which the caller named the service, so that a client that follows it uses
//! Sidekey again. Any other value is unchanged.

use crate::config::{Authority, default_port};
use crate::runtime::base_path::escapes_base_path;
use crate::runtime::route::MatchKind;

/// The parameters for rewriting the locations of one response.
pub(crate) struct Locations<'a> {
    /// The name of the service, which is the prefix of its paths.
    pub(crate) name: &'a str,
    /// Whether the upstream uses TLS.
    pub(crate) is_tls: bool,
    /// The authority of the upstream, without the default port of its scheme.
    pub(crate) authority: &'a str,
    /// The base path of the upstream; empty, or without a trailing slash.
    pub(crate) base_path: &'a str,
    /// How the caller named the service.
    pub(crate) matched_by: MatchKind,
}

impl Locations<'_> {
    /// Returns a URL for the caller, or `None` if it is not rewritten. The result is a path without a
    /// host, which a client resolves against the URL of its request (RFC 9110 §10.2.2).
    pub(crate) fn rewrite(&self, value: &str) -> Option<String> {
        // Clients remove spaces around a URL (URL Standard §4.4).
        let value = value.trim_matches([' ', '\t']);
        // To the URL Standard `\` is `/` and a tab is nothing (§4.4): what follows would be read as another path, or a host.
        if value.contains(['\\', '\t']) {
            return None;
        }
        let base = self.base_path;
        let path = self.path_at_upstream(value)?;
        let below = path.strip_prefix(base)?;
        if !(below.is_empty() || below.starts_with(['/', '?', '#']))
            || escapes_base_path(below.split('#').next()?)
        {
            return None;
        }
        // A path that begins with two slashes would be read as a host.
        let is_first = match self.matched_by {
            MatchKind::PathPrefix => false,
            MatchKind::Host => true,
            MatchKind::UpstreamUrl => base.is_empty(),
        };
        if is_first && below.starts_with("//") {
            return None;
        }
        let root = if below.starts_with('/') { "" } else { "/" };
        Some(match self.matched_by {
            MatchKind::PathPrefix => format!("/{}{below}", self.name),
            MatchKind::Host => format!("{root}{below}"),
            MatchKind::UpstreamUrl if base.is_empty() => format!("{root}{below}"),
            MatchKind::UpstreamUrl => format!("{base}{below}"),
        })
    }

    /// Returns path, query and fragment of a URL whose server is the upstream, or of an absolute path.
    fn path_at_upstream<'v>(&self, value: &'v str) -> Option<&'v str> {
        let scheme = if self.is_tls { "https:" } else { "http:" };
        let has_scheme = value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let after = if has_scheme { &value[scheme.len()..] } else { value };
        let Some(after) = after.strip_prefix("//") else {
            // Clients disagree on the meaning of `https:path`.
            return (!has_scheme && value.starts_with('/')).then_some(value);
        };
        let (authority, path) = Authority::split(after);
        // A user in front of the server is not passed on: the credential is Sidekey's.
        Authority::is_same_server(
            Authority::without_user(authority),
            self.authority,
            default_port(self.is_tls),
        )
        .then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(base_path: &str, matched_by: MatchKind) -> Locations<'_> {
        Locations { name: "crm", is_tls: true, authority: "crm.example.com", base_path, matched_by }
    }

    fn rewritten(base: &str, matched_by: MatchKind, value: &str) -> Option<String> {
        locations(base, matched_by).rewrite(value)
    }

    #[test]
    fn upstream_url_becomes_path_for_each_match_kind() {
        for (base, value, by_prefix, by_host, by_url) in [
            ("/v2", "https://crm.example.com/v2/x?y=1#z", "/crm/x?y=1#z", "/x?y=1#z", "/v2/x?y=1#z"),
            ("/v2", "HTTPS://CRM.Example.com:443/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "https://crm.example.com./v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "https://crm.example.com.:0443/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "//crm.example.com/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "https://user:pass@crm.example.com/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "https://a@b@CRM.example.com:443/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", " \thttps://crm.example.com/v2/x \t", "/crm/x", "/x", "/v2/x"),
            ("/v2", "/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "/v2", "/crm", "/", "/v2"),
            ("/v2", "/v2?a=/../b", "/crm?a=/../b", "/?a=/../b", "/v2?a=/../b"),
            ("", "https://crm.example.com", "/crm", "/", "/"),
            ("", "https://crm.example.com/x", "/crm/x", "/x", "/x"),
            ("", "https://crm.example.com?q", "/crm?q", "/?q", "/?q"),
            ("", "/", "/crm/", "/", "/"),
        ] {
            let all = [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl]
                .map(|matched_by| rewritten(base, matched_by, value));
            let expected = [by_prefix, by_host, by_url].map(|path| Some(path.to_owned()));
            assert_eq!(all, expected, "{base} {value}");
        }
    }

    #[test]
    fn location_that_browsers_read_otherwise_is_not_rewritten() {
        for value in
            ["https://crm.example.com/\\evil.example/x", "/\t/evil.example/x", "/.\t./x", "/x\\..\\..\\y"]
        {
            for way in [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl] {
                assert_eq!(rewritten("", way, value), None, "{value}");
            }
        }
    }

    #[test]
    fn other_location_is_unchanged() {
        for value in [
            "https://other.example.com/v2/x",
            "http://crm.example.com/v2/x",
            "https://crm.example.com:8443/v2/x",
            "https://crm.example.com@other.example/v2/x",
            "https://user@crm.example.com@other.example/v2/x",
            "https://other.example/@crm.example.com/v2/x",
            "https://other.example?@crm.example.com/v2/x",
            "https://other.example#@crm.example.com/v2/x",
            "https://crm.example.com.other.example/v2/x",
            "https://crm.example.com/v3/x",
            "https://crm.example.com/v22",
            "https://crm.example.com/v2/../admin",
            "https://crm.example.com/v2/%2e%2e/admin",
            "https:/v2/x",
            "https:v2/x",
            "\\\\crm.example.com/v2/x",
            "/v3/x",
            "/",
            "x",
            "../x",
            "?q",
            "",
        ] {
            for matched_by in [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl] {
                assert_eq!(rewritten("/v2", matched_by, value), None, "{value}");
            }
        }
        assert_eq!(rewritten("", MatchKind::Host, "https://crm.example.com//evil.example/x"), None);
        assert_eq!(rewritten("", MatchKind::UpstreamUrl, "https://crm.example.com//evil.example/x"), None);
        assert_eq!(rewritten("/v2", MatchKind::Host, "/v2//evil.example/x"), None);
        assert_eq!(rewritten("/v2", MatchKind::UpstreamUrl, "/v2//x").as_deref(), Some("/v2//x"));
        assert_eq!(
            rewritten("", MatchKind::PathPrefix, "https://crm.example.com//x").as_deref(),
            Some("/crm//x")
        );
    }
}
