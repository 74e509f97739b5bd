//! `refresh_on`: which responses, beside a 401, say that the credential was not accepted.

use memchr::memmem;
use url::Url;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;

/// The format of `refresh_on`.
pub(super) const REFRESH_ON: Format = Format::OneOrMore(&RULE);

const RULE: Format = Format::Defined(&Definition {
    name: "refresh_on",
    description: "Responses after which the credential is renewed, as after a 401.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[
    Key::optional("status", Format::Number(200, 599), "The status of the response."),
    Key::optional(
        "code",
        Format::Text,
        "A word in the body of a response with this status, such as `ExpiredToken`.",
    ),
    Key::optional(
        "redirect",
        Format::Text,
        "Where a redirect leads: a path such as `/login`, or a URL, and everything below.",
    ),
];

/// The limit on the rules of a service.
const MAX_RULES: usize = 16;
/// The limits on the length of a code.
const CODE_LENGTH: std::ops::RangeInclusive<usize> = 2..=128;

/// Responses that say that the credential was not accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefreshOn(Vec<RejectionRule>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum RejectionRule {
    /// Every response with this status.
    Status(u16),
    /// A response with this status, the body of which has this word.
    Code(u16, String),
    /// A redirect to this place, or below it.
    Redirect(RedirectTarget),
}

/// The place that a redirect leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RedirectTarget {
    /// Scheme and authority; `None`: any.
    origin: Option<url::Origin>,
    /// The path, without a slash at its end.
    path: String,
}

impl RefreshOn {
    /// Whether a rule may be about a response with this status, so that its head has to be read.
    pub fn is_about(&self, status: u16) -> bool {
        self.0.iter().any(|rule| match rule {
            RejectionRule::Status(of) | RejectionRule::Code(of, _) => *of == status,
            RejectionRule::Redirect(_) => (300..400).contains(&status),
        })
    }

    /// Whether every response with this status is a rejection.
    pub fn has_status(&self, status: u16) -> bool {
        self.0.iter().any(|rule| matches!(rule, RejectionRule::Status(of) if *of == status))
    }

    /// Whether the body of a response with this status decides.
    pub fn needs_body(&self, status: u16) -> bool {
        self.0.iter().any(|rule| matches!(rule, RejectionRule::Code(of, _) if *of == status))
    }

    /// Whether the body of any response decides.
    pub fn reads_bodies(&self) -> bool {
        self.0.iter().any(|rule| matches!(rule, RejectionRule::Code(..)))
    }

    /// Whether a body has the word of a rule for this status. Letters, digits, `_` and `-` around it make it another word.
    pub fn has_code(&self, status: u16, body: &[u8]) -> bool {
        self.0.iter().any(|rule| match rule {
            RejectionRule::Code(of, code) => *of == status && has_word(body, code.as_bytes()),
            _ => false,
        })
    }

    /// Whether a redirect to `location` (RFC 9110 §10.2.2), from a URL with this origin, is a rejection.
    pub fn has_redirect(&self, origin: &str, location: &[u8]) -> bool {
        let mut targets = self.0.iter().filter_map(|rule| match rule {
            RejectionRule::Redirect(target) => Some(target),
            _ => None,
        });
        let Some(first) = targets.next() else { return false };
        let url = std::str::from_utf8(location).ok().and_then(|to| Url::parse(origin).ok()?.join(to).ok());
        url.is_some_and(|url| std::iter::once(first).chain(targets).any(|target| target.has(&url)))
    }
}

impl RedirectTarget {
    /// Reads a path or a URL.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "a path that begins with `/`, or an http or https URL, without query".to_owned();
        let (origin, url) = if text.starts_with('/') && !text.starts_with("//") {
            (None, Url::parse("https://upstream.invalid").and_then(|base| base.join(text)))
        } else {
            let url = Url::parse(text);
            (url.as_ref().ok().map(Url::origin), url)
        };
        let url = url.map_err(|_| wrong())?;
        let is_bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !is_bare || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        let path = url.path().trim_end_matches('/').to_owned();
        if path.is_empty() && origin.is_none() {
            return Err("`/` is every path of the upstream: name the login page".into());
        }
        Ok(Self { origin, path })
    }

    fn has(&self, url: &Url) -> bool {
        let rest = url.path().strip_prefix(&self.path);
        self.origin.as_ref().is_none_or(|origin| *origin == url.origin())
            && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Whether a text has a word.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    memmem::find_iter(text, word).any(|at| {
        let (before, after) = (text[..at].last(), text.get(at + word.len()));
        !before.is_some_and(is_of_word) && !after.is_some_and(is_of_word)
    })
}

/// Reads the rules. `can_renew` says whether there is another credential to send.
pub(super) fn read(value: &Value<'_>, can_renew: bool) -> RefreshOn {
    if !can_renew {
        value.error("the credential never changes and has no `previous`, so there is nothing to renew");
    }
    let values = value.one_or_more();
    if values.len() > MAX_RULES {
        value.error(format!("a service has at most {MAX_RULES} of these rules"));
    }
    RefreshOn(values.iter().filter_map(|value| rule(value, value.mapping()?)).collect())
}

fn rule(value: &Value<'_>, mut mapping: Mapping<'_>) -> Option<RejectionRule> {
    let (status, code, redirect) =
        (mapping.optional("status"), mapping.optional("code"), mapping.optional("redirect"));
    mapping.reject_unknown_keys();
    let number = |status: &Value<'_>| status.number().and_then(|number| u16::try_from(number).ok());
    match (status, code, redirect) {
        (Some(status), None, None) => {
            let number = number(&status)?;
            if number == 401 || number == 429 || !(400..=599).contains(&number) {
                status.error("a status from 400 to 599 but 401, which always renews, and 429; any other one needs `code`");
                return None;
            }
            Some(RejectionRule::Status(number))
        }
        (Some(status), Some(code), None) => {
            let code = code.parse(self::code);
            Some(RejectionRule::Code(number(&status)?, code?))
        }
        (None, None, Some(redirect)) => redirect.parse(RedirectTarget::parse).map(RejectionRule::Redirect),
        _ => {
            value.error("a rule has `status`, `status` and `code`, or `redirect`");
            None
        }
    }
}

fn code(text: &str) -> Result<String, String> {
    let is_word = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if !CODE_LENGTH.contains(&text.len()) || !is_word || text.starts_with(' ') || text.ends_with(' ') {
        return Err(format!(
            "a code has from {} to {} characters of visible ASCII",
            CODE_LENGTH.start(),
            CODE_LENGTH.end()
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn code_is_found_as_a_word_only() {
        let rules = RefreshOn(vec![RejectionRule::Code(403, "ExpiredToken".into())]);
        for (body, expected) in [
            ("<Error><Code>ExpiredToken</Code></Error>", true),
            (r#"{"reason":"ExpiredToken"}"#, true),
            ("ExpiredToken", true),
            ("ExpiredTokens and ExpiredToken.", true),
            ("ExpiredTokenException", false),
            ("NotExpiredToken", false),
            ("x-ExpiredToken ExpiredToken_2", false),
            ("expiredtoken", false),
            ("", false),
        ] {
            assert_eq!(rules.has_code(403, body.as_bytes()), expected, "{body}");
            assert!(!rules.has_code(400, body.as_bytes()));
        }
        assert!(rules.needs_body(403) && !rules.needs_body(400) && !rules.has_status(403));
        assert!(rules.is_about(403) && !rules.is_about(400) && !rules.is_about(302));
    }

    #[test]
    fn redirect_matches_its_place_and_what_is_below() {
        let rules =
            |text: &str| RefreshOn(vec![RejectionRule::Redirect(RedirectTarget::parse(text).unwrap())]);
        let origin = "https://api.example.com";
        for (target, location, expected) in [
            ("/login", "/login", true),
            ("/login", "/login?next=%2Fx", true),
            ("/login/", "/login/sso#a", true),
            ("/login", "https://api.example.com/login", true),
            ("/login", "https://sso.example.com/login", true),
            ("/login", "/a/../login", true),
            ("/login", "/logins", false),
            ("/login", "/x?next=/login", false),
            ("/login", "//sso.example.com/", false),
            ("https://sso.example.com/auth", "https://SSO.example.com:443/auth/x", true),
            ("https://sso.example.com/auth", "/auth", false),
            ("https://sso.example.com/auth", "http://sso.example.com/auth", false),
            ("https://sso.example.com", "https://sso.example.com/any", true),
            ("https://sso.example.com", "https://sso.example.com.evil.example/any", false),
            ("/login", "http://[", false),
        ] {
            assert_eq!(
                rules(target).has_redirect(origin, location.as_bytes()),
                expected,
                "{target} {location}"
            );
        }
        assert!(rules("/login").is_about(302) && !rules("/login").is_about(200));
        assert!(!RefreshOn::default().has_redirect(origin, b"/login"));
        assert!(!rules("/login").has_redirect(origin, b"/login\xff"), "it is no text");
    }
}
