//! The step before a login: a page is requested, whose token goes with the login, so that the server knows that the login follows its
//! page (protection against cross-site request forgery).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use url::Url;
use zeroize::Zeroizing;

use super::html;
use super::place::{Answer, SessionPlace};
use crate::config::auth::placement::check_header_name;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::{HTTP_URL, UrlPolicy, parse_http_url};
use crate::credential::sensitive;
use crate::refresh::ClockReading;

/// The limit on the token and on the cookies, in bytes each.
const MAX_LENGTH: usize = 8 * 1024;

/// The format of `csrf`.
pub(super) const CSRF: Format = Format::Defined(&Definition {
    name: "login_csrf",
    description: "A page that is requested before the login, and the token in it that is sent with the login.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[
    Key::optional("url", HTTP_URL, "The page (GET), at the server of `login_url`. Default: `login_url`."),
    Key::required(
        "from",
        Format::Text,
        "Where the token is: `cookie:NAME`, `header:NAME`, `json:/POINTER`, `input:NAME` or `meta:NAME` of HTML.",
    ),
    Key::optional("field", Format::Text, "The field of the login that has the token."),
    Key::optional("header", Format::Text, "The header field of the login that has the token."),
];

/// The step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CsrfStep {
    /// `None` for the URL of the login.
    url: Option<Url>,
    from: TokenPlace,
    /// The field of the login that gets the token.
    pub(super) field: Option<String>,
    header: Option<HeaderName>,
}

/// Where the token is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum TokenPlace {
    /// Where a session could be as well.
    Answer(SessionPlace),
    /// The element of HTML of this name.
    Html(html::Element, String),
}

impl TokenPlace {
    fn parse(text: &str) -> Result<Self, String> {
        let named = |name: &str| !name.is_empty() && !name.chars().any(char::is_control);
        match text.split_once(':') {
            Some(("input", name)) if named(name) => Ok(Self::Html(html::Element::Input, name.to_owned())),
            Some(("meta", name)) if named(name) => Ok(Self::Html(html::Element::Meta, name.to_owned())),
            Some(("json" | "cookie" | "header", _)) => SessionPlace::parse(text).map(Self::Answer),
            _ => {
                Err("write `cookie:NAME`, `header:NAME`, `json:/POINTER`, `input:NAME` or `meta:NAME`".into())
            }
        }
    }
}

/// What the page gave.
pub(super) struct CsrfToken {
    pub(super) token: Zeroizing<String>,
    /// `Cookie`, `Referer` and the field of the token.
    pub(super) headers: HeaderMap,
}

impl CsrfStep {
    /// Reads `csrf`. `login` is `login_url`; `has_fields` says whether the login has fields.
    pub(super) fn read(
        value: &Value<'_>,
        login: Option<&Url>,
        has_fields: bool,
        plaintext: bool,
    ) -> Option<Self> {
        let mut mapping = value.mapping()?;
        let url = mapping.optional("url").map(|value| value.parse(|text| page(text, login, plaintext)));
        let from = mapping.required("from").and_then(|value| value.parse(TokenPlace::parse));
        let field = mapping.optional("field");
        let header = mapping.optional("header").map(|value| value.parse(header_name));
        mapping.reject_unknown_keys();
        if let Some(field) = field.as_ref().filter(|_| !has_fields) {
            field.error("`login_format: basic` sends no fields: use `header`");
            return None;
        }
        if field.is_none() && header.is_none() {
            value.error("`field` or `header` is required: where the token goes in the login");
            return None;
        }
        let field = field.map(|value| value.text().map(str::to_owned));
        Some(Self {
            url: url.map_or(Some(None), |url| url.map(Some))?,
            from: from?,
            field: field.map_or(Some(None), |field| field.map(Some))?,
            header: header.map_or(Some(None), |header| header.map(Some))?,
        })
    }

    /// The page.
    pub(super) fn url<'u>(&'u self, login: &'u Url) -> &'u Url {
        self.url.as_ref().unwrap_or(login)
    }

    /// The token of an answer of the page. The error is the end of a sentence.
    pub(super) fn token(
        &self,
        page: &Url,
        (status, headers): (StatusCode, &HeaderMap),
        content: &[u8],
        now: ClockReading,
    ) -> Result<CsrfToken, &'static str> {
        if !status.is_success() {
            return Err("is no page");
        }
        let host = page.host_str().unwrap_or_default();
        let answer = Answer { host, headers, json: serde_json::from_slice(content).ok() };
        let found = match &self.from {
            TokenPlace::Answer(place) => answer.session(place, now).map(|found| found.value),
            TokenPlace::Html(element, name) => {
                std::str::from_utf8(content).ok().and_then(|text| html::value(text, *element, name))
            }
        };
        let token = Zeroizing::new(found.ok_or("has no token where `csrf.from` says")?);
        if token.is_empty()
            || token.len() > MAX_LENGTH
            || !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        {
            return Err("has a token that cannot be sent");
        }
        let mut headers = HeaderMap::new();
        let cookies = Zeroizing::new(answer.cookies(now).join("; "));
        if cookies.len() > MAX_LENGTH {
            return Err("sets cookies of more than 8 KiB");
        }
        if !cookies.is_empty() {
            headers.insert(header::COOKIE, field_value(&cookies)?);
        }
        // Django compares it over TLS.
        headers.insert(
            header::REFERER,
            HeaderValue::from_str(page.as_str()).map_err(|_| "has a URL that cannot be sent")?,
        );
        if let Some(name) = &self.header {
            headers.insert(name.clone(), field_value(&token)?);
        }
        Ok(CsrfToken { token, headers })
    }
}

fn field_value(text: &str) -> Result<HeaderValue, &'static str> {
    if HeaderValue::from_str(text).is_err() {
        return Err("has a value that cannot be sent");
    }
    Ok(sensitive(text))
}

/// A page of the same server: its token is sent to `login_url`, and nowhere else.
fn page(text: &str, login: Option<&Url>, plaintext: bool) -> Result<Url, String> {
    let url = parse_http_url(text, &UrlPolicy { plaintext, query: true })?;
    match login {
        Some(login) if login.origin() != url.origin() => {
            Err("another server than that of `login_url`, which would get no token from it".into())
        }
        _ => Ok(url),
    }
}

fn header_name(text: &str) -> Result<HeaderName, String> {
    let name = HeaderName::try_from(text).map_err(|_| "not the name of a header field")?;
    check_header_name(name.as_str())?;
    Ok(name)
}
