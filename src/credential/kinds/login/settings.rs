//! The settings of a login, and how they are read.

use std::time::Duration;

use url::Url;

use super::csrf::{CSRF, CsrfStep};
use super::place::{SessionPlace, json_pointer};
use crate::config::auth::placement;
use crate::config::auth::placement::{Placement, RequestPart, check_header_name};
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::{SECRET, VALUE};
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::{
    CredentialServer, HTTP_URL, PASSWORD, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS, USERNAME, Username,
    name_and_password,
};
use crate::secret::Secret;

/// Limit on `fields`.
const MAX_FIELDS: usize = 32;
/// Longest `session_lifetime`.
const MAX_LIFETIME: Duration = Duration::from_secs(30 * 86_400);

/// The settings of a login.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    pub(super) server: CredentialServer,
    pub(super) credentials: Credentials,
    /// What was sent before a rotation.
    pub(super) previous: Option<Credentials>,
    pub(super) csrf: Option<CsrfStep>,
    pub(super) session: SessionPlace,
    /// The longest time that a session is used.
    pub(super) lifetime: Option<Duration>,
    /// The member that states the lifetime.
    pub(super) lifetime_field: Option<String>,
    /// Where the session goes in requests.
    pub(super) token: Placement,
    pub(super) logout: Option<(Method, Url)>,
}

/// What is sent to log in.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Credentials {
    /// A JSON document with these members, each under a name or a pointer.
    Json(Vec<(String, Secret)>),
    Form(Vec<(String, Secret)>),
    Basic(Username, Option<Secret>),
}

/// The method of a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Method {
    Post,
    Delete,
    Get,
}

#[derive(Clone, Copy, PartialEq)]
enum LoginFormat {
    Json,
    Form,
    Basic,
}

const FORMATS: [(&str, LoginFormat); 3] =
    [("json", LoginFormat::Json), ("form", LoginFormat::Form), ("basic", LoginFormat::Basic)];

const METHODS: [(&str, Method); 3] =
    [("post", Method::Post), ("delete", Method::Delete), ("get", Method::Get)];

/// The format of `fields`.
const FIELDS: Format = Format::Names(&Names { min: 1, max: Some(MAX_FIELDS), ..Names::of(VALUE) });

/// The keys beside `type`.
pub(super) const KEYS: Keys = &[
    Key::required("login_url", HTTP_URL, "Where the login is sent (POST)."),
    Key::optional("login_format", Format::Words(&FORMATS), "How the login is sent.").or("json"),
    Key::depends(
        "fields",
        FIELDS,
        "What is sent in JSON or a form: text for a fixed value, or a secret. In JSON a name may be a pointer, such as `/params/user`.",
    ),
    USERNAME,
    PASSWORD,
    Key::optional(
        "previous",
        Format::AnyOf(&[SECRET, FIELDS]),
        "Tried if the login is rejected: the password before a rotation, or the values of `fields` that have changed.",
    ),
    Key::optional("csrf", CSRF, "A page that is requested before, whose token is sent with the login."),
    Key::required(
        "session",
        Format::Text,
        "Where the session is in the answer: `json:/POINTER`, `cookie:NAME`, `header:NAME`.",
    ),
    Key::optional(
        "session_lifetime",
        DURATION,
        "The longest time that a session is used, up to 30 days. Default: what the answer states, else 30m.",
    ),
    Key::optional(
        "lifetime_field",
        Format::Text,
        "JSON pointer to the lifetime in the answer: seconds, or a point in time.",
    ),
    Key::optional(
        "token",
        placement::TOKEN,
        "Where the session goes in requests. Default: where it came from; from JSON, a bearer token.",
    ),
    Key::optional("logout_url", HTTP_URL, "Where a session that is not used any more is ended."),
    Key::depends("logout_method", Format::Words(&METHODS), "The method of that request.").or("post"),
    SERVER_TLS,
    SERVER_PROXY,
    SERVER_PLAINTEXT,
];

/// Reads the settings.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
    let format = mapping.optional("login_format");
    let format = format.map_or(Some(LoginFormat::Json), |value| value.one_of(&FORMATS));
    let credentials = credentials(mapping, format);
    let previous = mapping.optional("previous").map(|value| previous(&value, credentials.as_ref()));
    let csrf = mapping.optional("csrf");
    let session = mapping.required("session").and_then(|value| value.parse(SessionPlace::parse));
    let lifetime = mapping.optional("session_lifetime").map(|value| lifetime(&value));
    let field = mapping.optional("lifetime_field").map(|value| value.parse(json_pointer));
    let token = token(mapping, session.as_ref());
    let logout_url = mapping.optional("logout_url");
    let method = mapping.optional("logout_method");
    if let (None, Some(method)) = (&logout_url, &method) {
        method.error("has no meaning without `logout_url`");
    }
    let method = method.map_or(Some(Method::Post), |value| value.one_of(&METHODS));
    let server = CredentialServer::required(mapping, "login_url");
    let has_fields = !matches!(credentials, Some(Credentials::Basic(..)));
    let plaintext = server.as_ref().is_some_and(|server| server.plaintext);
    let login = server.as_ref().map(|server| &server.url);
    let csrf = csrf.map(|value| CsrfStep::read(&value, login, has_fields, plaintext));
    let logout_url = logout_url.map(|value| server.as_ref()?.another(&value));
    let logout = match logout_url {
        None => None,
        Some(url) => Some((method?, url?)),
    };
    Some(Settings {
        server: server?,
        credentials: credentials?,
        previous: previous.map_or(Some(None), |read| read.map(Some))?,
        csrf: csrf.map_or(Some(None), |read| read.map(Some))?,
        session: session?,
        lifetime: lifetime.map_or(Some(None), |read| read.map(Some))?,
        lifetime_field: field.map_or(Some(None), |read| read.map(Some))?,
        token: token?,
        logout,
    })
}

fn credentials(mapping: &mut Mapping<'_>, format: Option<LoginFormat>) -> Option<Credentials> {
    let given = mapping.optional("fields");
    if format == Some(LoginFormat::Basic) {
        let login = name_and_password(mapping);
        if let Some(fields) = given {
            fields.error("`login_format: basic` sends `username` and `password`, and no fields");
            return None;
        }
        return login.map(|(name, password)| Credentials::Basic(name, password));
    }
    let login = [mapping.optional("username"), mapping.optional("password")];
    let format = format?;
    if let Some(value) = login.into_iter().flatten().next() {
        value.error("for `login_format: basic`; the names of JSON and of forms go under `fields`");
        return None;
    }
    let fields = mapping.required("fields").and_then(|value| fields(&value, format))?;
    Some(if format == LoginFormat::Json { Credentials::Json(fields) } else { Credentials::Form(fields) })
}

/// What was sent before a rotation: the same with some other values. Returns `None` only with an error on the report.
fn previous(value: &Value<'_>, current: Option<&Credentials>) -> Option<Credentials> {
    let (known, is_json) = match current? {
        Credentials::Basic(name, _) => {
            return secret::any_value(value).map(|password| Credentials::Basic(name.clone(), Some(password)));
        }
        Credentials::Json(fields) => (fields, true),
        Credentials::Form(fields) => (fields, false),
    };
    let mut fields = known.clone();
    for (name, value) in value.entries()? {
        let Some(field) = fields.iter_mut().find(|(known, _)| known == name) else {
            value.error("is none of `fields`");
            return None;
        };
        field.1 = secret::any_value(&value)?;
    }
    Some(if is_json { Credentials::Json(fields) } else { Credentials::Form(fields) })
}

fn fields(value: &Value<'_>, format: LoginFormat) -> Option<Vec<(String, Secret)>> {
    let entries = value.entries()?;
    if entries.is_empty() || entries.len() > MAX_FIELDS {
        value.error(format!("from 1 to {MAX_FIELDS} entries"));
        return None;
    }
    let mut read: Vec<Option<(String, Secret)>> = Vec::new();
    for (name, value) in &entries {
        let inside =
            |other: &str| name.starts_with(&format!("{other}/")) || other.starts_with(&format!("{name}/"));
        if format == LoginFormat::Json && entries.iter().any(|(other, _)| inside(other)) {
            value.error("is inside of another field, or another one inside of it");
            read.push(None);
        } else {
            read.push(secret::any_value(value).map(|secret| ((*name).to_owned(), secret)));
        }
    }
    read.into_iter().collect()
}

fn token(mapping: &mut Mapping<'_>, session: Option<&SessionPlace>) -> Option<Placement> {
    if mapping.has("token") {
        return Placement::of_token(mapping);
    }
    let at = |part, name: &str| Placement { part, name: name.to_owned(), prefix: String::new() };
    Some(match session? {
        SessionPlace::Json(_) => Placement::bearer(),
        SessionPlace::Cookie(name) => at(RequestPart::Cookie, name),
        SessionPlace::Header(name) => {
            if let Err(why) = check_header_name(name.as_str()) {
                mapping.value().error(format!(
                    "the session is in a field that no request can have ({why}): set `token`"
                ));
                return None;
            }
            at(RequestPart::Header, name.as_str())
        }
    })
}

fn lifetime(value: &Value<'_>) -> Option<Duration> {
    let read = duration::positive(value)?;
    if read > MAX_LIFETIME {
        value.error("at most 30 days");
        return None;
    }
    Some(read)
}
