//! Rewrites the URLs in the fields of a response. A query credential that the upstream put into a URL is removed, and a URL
//! below the service's upstream becomes one that leads back to Sidekey.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use smallvec::SmallVec;

use super::link;
use super::location::Locations;
use crate::credential::Owned;
use crate::proto::fields::HeaderClass;

/// The authority that a caller wrote in its request; empty if it cannot be a part of a URL. Kept without an allocation.
#[derive(Default)]
pub(crate) struct CallerAuthority(SmallVec<[u8; 64]>);

impl CallerAuthority {
    /// The authority of a request.
    pub(crate) fn of(host: &str) -> Self {
        let is_valid = |byte: &u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
        };
        if host.as_bytes().iter().all(is_valid) {
            Self(SmallVec::from_slice(host.as_bytes()))
        } else {
            Self::default()
        }
    }

    /// The authority as text, or `None` if there is none.
    fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok().filter(|authority| !authority.is_empty())
    }
}

/// The parameters for rewriting the URLs of one response.
pub(crate) struct ResponseUrls<'a> {
    /// How a URL below the upstream is rewritten; `None` if it is not.
    pub(crate) locations: Option<Locations<'a>>,
    /// Whether the caller uses TLS.
    pub(crate) is_caller_tls: bool,
    /// The authority that the caller uses for Sidekey.
    pub(crate) caller_authority: &'a CallerAuthority,
    /// The parts of a request that belong to the credential.
    pub(crate) owned: &'a Owned,
    /// The number of URLs that had a part of the credential.
    pub(crate) stripped: Cell<u64>,
}

impl ResponseUrls<'_> {
    /// Returns the value of a field for the caller, or `None` if it is unchanged.
    pub(crate) fn rewrite(&self, class: HeaderClass, value: &[u8]) -> Option<String> {
        if self.locations.is_none() && !self.owned.has_query() {
            return None;
        }
        let value = text(value);
        match class {
            HeaderClass::Location => self.url(&value, false),
            // Clients put these into their next request without resolving them.
            HeaderClass::UrlValue => self.url(&value, true),
            HeaderClass::Link => self.replace(&value, link::urls(&value), true),
            HeaderClass::Refresh => self.replace(&value, refresh_url(&value), false),
            _ => None,
        }
    }

    /// Rewrites one URL, to a path, or to a URL with a host if `is_absolute`.
    fn url(&self, value: &str, is_absolute: bool) -> Option<String> {
        let stripped = self.owned.strip_url(value);
        if stripped.is_some() {
            self.stripped.set(self.stripped.get() + 1);
        }
        let value = stripped.as_deref().unwrap_or(value);
        let Some(path) = self.locations.as_ref().and_then(|locations| locations.rewrite(value)) else {
            return stripped;
        };
        Some(match self.caller_authority.as_str() {
            Some(authority) if is_absolute => {
                let scheme = if self.is_caller_tls { "https" } else { "http" };
                format!("{scheme}://{authority}{path}")
            }
            _ => path,
        })
    }

    /// Rewrites the URLs at these places of a value.
    fn replace(
        &self,
        value: &str,
        places: impl IntoIterator<Item = Range<usize>>,
        is_absolute: bool,
    ) -> Option<String> {
        let mut rewritten = String::new();
        let mut copied = 0;
        for place in places {
            if let Some(url) = self.url(&value[place.clone()], is_absolute) {
                rewritten.push_str(&value[copied..place.start]);
                rewritten.push_str(&url);
                copied = place.end;
            }
        }
        if copied == 0 {
            return None;
        }
        rewritten.push_str(&value[copied..]);
        Some(rewritten)
    }
}

/// A field value as text. A byte that is not UTF-8 is encoded as in a URL.
fn text(value: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(value).map_or_else(
        |_| {
            let encode = |byte: &u8| match byte {
                0x80.. => format!("%{byte:02X}"),
                _ => char::from(*byte).to_string(),
            };
            Cow::Owned(value.iter().map(encode).collect())
        },
        Cow::Borrowed,
    )
}

/// The place of the URL in a `Refresh` value: `5; url=https://api.example.com/x`, with or without quotes.
fn refresh_url(value: &str) -> Option<Range<usize>> {
    let mut start = value.find([';', ','])? + 1;
    let skip_blanks = |at: usize| value.len() - value[at..].trim_start().len();
    start = skip_blanks(start);
    if value[start..].get(..3).is_some_and(|name| name.eq_ignore_ascii_case("url")) {
        let equals = skip_blanks(start + 3);
        if value[equals..].starts_with('=') {
            start = skip_blanks(equals + 1);
        }
    }
    let quote = value[start..].chars().next().filter(|quote| matches!(quote, '"' | '\''));
    start += quote.map_or(0, char::len_utf8);
    let url = value[start..].trim_end();
    let length = quote.and_then(|quote| url.find(quote)).unwrap_or(url.len());
    Some(start..start + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::route::MatchKind;

    fn urls<'a>(owned: &'a Owned, authority: &'a CallerAuthority, matched_by: MatchKind) -> ResponseUrls<'a> {
        let locations = Locations {
            name: "crm",
            is_tls: true,
            authority: "crm.example.com",
            base_path: "/v2",
            matched_by,
        };
        ResponseUrls {
            locations: Some(locations),
            is_caller_tls: false,
            caller_authority: authority,
            owned,
            stripped: Cell::new(0),
        }
    }

    #[test]
    fn url_fields_lead_back_to_sidekey() {
        let owned = Owned::authorization();
        let authority = CallerAuthority::of("127.0.0.1:8080");
        let urls = urls(&owned, &authority, MatchKind::PathPrefix);
        for (class, value, expected) in [
            (HeaderClass::Location, "https://crm.example.com/v2/x", "/crm/x"),
            (HeaderClass::UrlValue, "https://crm.example.com/v2/x", "http://127.0.0.1:8080/crm/x"),
            (HeaderClass::Refresh, "5; url=https://crm.example.com/v2/x", "5; url=/crm/x"),
            (HeaderClass::Refresh, "0;URL='https://crm.example.com/v2/x'", "0;URL='/crm/x'"),
            (HeaderClass::Refresh, "0, https://crm.example.com/v2/x ", "0, /crm/x "),
            (
                HeaderClass::Link,
                "<https://crm.example.com/v2/x?page=2>; rel=\"next\", <https://cdn.example/a.js>; rel=preload, </v2/y>",
                "<http://127.0.0.1:8080/crm/x?page=2>; rel=\"next\", <https://cdn.example/a.js>; rel=preload, <http://127.0.0.1:8080/crm/y>",
            ),
        ] {
            assert_eq!(urls.rewrite(class, value.as_bytes()).as_deref(), Some(expected), "{value}");
        }
        for (value, expected) in [
            ("< https://CRM.example.com.:443/v2/x >; rel=next", "<http://127.0.0.1:8080/crm/x>; rel=next"),
            ("<HTTPS://me@crm.example.com/v2/x>", "<http://127.0.0.1:8080/crm/x>"),
            ("<//crm.example.com/v2/x>; title=\"a, b\"", "<http://127.0.0.1:8080/crm/x>; title=\"a, b\""),
            (
                "<https://cdn.example/a>; anchor=\"https://crm.example.com/v2/x\"; rel=next",
                "<https://cdn.example/a>; anchor=\"http://127.0.0.1:8080/crm/x\"; rel=next",
            ),
            (
                "</v2/x>; anchor=/v2/y;rel=a",
                "<http://127.0.0.1:8080/crm/x>; anchor=http://127.0.0.1:8080/crm/y;rel=a",
            ),
        ] {
            assert_eq!(
                urls.rewrite(HeaderClass::Link, value.as_bytes()).as_deref(),
                Some(expected),
                "{value}"
            );
        }
        for (class, value) in [
            (HeaderClass::Link, "<https://elsewhere.example/v2/x>; rel=next"),
            (HeaderClass::Link, "</v3/x>"),
            (HeaderClass::Refresh, "5"),
            (HeaderClass::Refresh, "5; url=next"),
            (HeaderClass::EndToEnd, "https://crm.example.com/v2/x"),
        ] {
            assert_eq!(urls.rewrite(class, value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn authority_that_is_no_part_of_a_url_is_not_used() {
        let owned = Owned::authorization();
        for host in ["", "a>b", "a\"b", "a b", "u@a", "a/b"] {
            let authority = CallerAuthority::of(host);
            let urls = urls(&owned, &authority, MatchKind::Host);
            let value = urls.rewrite(HeaderClass::Link, b"<https://crm.example.com/v2/x>");
            assert_eq!(value.as_deref(), Some("</x>"), "{host}");
        }
    }

    #[test]
    fn query_credential_is_removed_from_url_fields() {
        let owned = Owned::default().with_query("key");
        let authority = CallerAuthority::of("a:1");
        for locations in [true, false] {
            let mut urls = urls(&owned, &authority, MatchKind::Host);
            if !locations {
                urls.locations = None;
            }
            for (class, value, expected) in [
                (
                    HeaderClass::Location,
                    &b"https://other.example/?key=S&a=1"[..],
                    "https://other.example/?a=1",
                ),
                (HeaderClass::Location, b"next?a=1&key=S", "next?a=1"),
                (HeaderClass::Location, b"/caf\xe9?key=S", "/caf%E9"),
                (HeaderClass::Link, b"<next?key=S>; rel=next", "<next>; rel=next"),
                (HeaderClass::Link, b"<a>; title=5\", <b?key=S>", "<a>; title=5\", <b>"),
                (HeaderClass::Refresh, b"1;url=next?key=S", "1;url=next"),
                (HeaderClass::UrlValue, b"https://other.example/o?key=S", "https://other.example/o"),
            ] {
                assert_eq!(urls.rewrite(class, value).as_deref(), Some(expected), "{expected}");
            }
            assert_eq!(urls.stripped.get(), 7);
        }
    }
}
