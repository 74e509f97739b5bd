//! `Location` and `Content-Location` (RFC 9110 §8.7, §10.2.2) as the caller writes URLs: what lies inside the service's
//! upstream becomes a path of the way the caller came in, so that whoever follows it stays with Sidekey and its credential.
//! Everything else passes as it is.

use crate::runtime::route::{MatchKind, escapes_base_path};

/// What the rewriting needs to know.
pub(crate) struct Locations<'a> {
    /// The service's name: the prefix of its paths.
    pub(crate) name: &'a str,
    /// The upstream speaks TLS.
    pub(crate) is_tls: bool,
    /// The upstream's, without a port that is the scheme's own.
    pub(crate) authority: &'a str,
    /// The upstream's; empty, or without a trailing slash.
    pub(crate) base_path: &'a str,
    pub(crate) way: MatchKind,
}

impl Locations<'_> {
    /// The value as the caller writes it; `None` where it stays as it is. A path without a host, which every client
    /// resolves against the URL it asked for (RFC 9110 §10.2.2).
    pub(crate) fn rewrite(&self, value: &[u8]) -> Option<String> {
        let value = std::str::from_utf8(value).ok()?;
        let base = self.base_path;
        let path = self.path(value)?;
        let rest = path.strip_prefix(base)?;
        if !(rest.is_empty() || rest.starts_with(['/', '?', '#']))
            || escapes_base_path(rest.split('#').next()?)
        {
            return None;
        }
        // What begins with two slashes would be read as a host.
        let is_first = match self.way {
            MatchKind::PathPrefix => false,
            MatchKind::Host => true,
            MatchKind::UpstreamUrl => base.is_empty(),
        };
        if is_first && rest.starts_with("//") {
            return None;
        }
        let root = if rest.starts_with('/') { "" } else { "/" };
        Some(match self.way {
            MatchKind::PathPrefix => format!("/{}{rest}", self.name),
            MatchKind::Host => format!("{root}{rest}"),
            MatchKind::UpstreamUrl if base.is_empty() => format!("{root}{rest}"),
            MatchKind::UpstreamUrl => format!("{base}{rest}"),
        })
    }

    /// Path, query and fragment of a URL at the upstream's own server, or of a path from its root.
    fn path<'v>(&self, value: &'v str) -> Option<&'v str> {
        let scheme = if self.is_tls { "https:" } else { "http:" };
        let has_scheme = value.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
        let after = if has_scheme { &value[scheme.len()..] } else { value };
        let Some(after) = after.strip_prefix("//") else {
            // `https:path` is no URL that two clients read alike.
            return (!has_scheme && value.starts_with('/')).then_some(value);
        };
        let (authority, path) = after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len()));
        let usual = if self.is_tls { ":443" } else { ":80" };
        let bare = |authority: &str| authority.strip_suffix(usual).unwrap_or(authority).to_ascii_lowercase();
        (bare(authority) == bare(self.authority)).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locations(base_path: &str, way: MatchKind) -> Locations<'_> {
        Locations { name: "crm", is_tls: true, authority: "crm.example.com", base_path, way }
    }

    fn rewritten(base: &str, way: MatchKind, value: &str) -> Option<String> {
        locations(base, way).rewrite(value.as_bytes())
    }

    #[test]
    fn what_lies_inside_the_upstream_becomes_a_path_of_the_callers_way() {
        for (base, value, prefix, alias, own) in [
            ("/v2", "https://crm.example.com/v2/x?y=1#z", "/crm/x?y=1#z", "/x?y=1#z", "/v2/x?y=1#z"),
            ("/v2", "HTTPS://CRM.Example.com:443/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "//crm.example.com/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "/v2/x", "/crm/x", "/x", "/v2/x"),
            ("/v2", "/v2", "/crm", "/", "/v2"),
            ("/v2", "/v2?a=/../b", "/crm?a=/../b", "/?a=/../b", "/v2?a=/../b"),
            ("", "https://crm.example.com", "/crm", "/", "/"),
            ("", "https://crm.example.com/x", "/crm/x", "/x", "/x"),
            ("", "https://crm.example.com?q", "/crm?q", "/?q", "/?q"),
            ("", "/", "/crm/", "/", "/"),
        ] {
            let all = [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl]
                .map(|way| rewritten(base, way, value));
            assert_eq!(all, [prefix, alias, own].map(|path| Some(path.to_owned())), "{base} {value}");
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for value in [
            "https://other.example.com/v2/x",
            "http://crm.example.com/v2/x",
            "https://crm.example.com:8443/v2/x",
            "https://crm.example.com@other.example/v2/x",
            "https://user@crm.example.com/v2/x",
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
            for way in [MatchKind::PathPrefix, MatchKind::Host, MatchKind::UpstreamUrl] {
                assert_eq!(rewritten("/v2", way, value), None, "{value}");
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
        assert_eq!(locations("", MatchKind::UpstreamUrl).rewrite(b"/\xff"), None);
    }
}
