//! `auth`: what a service injects, written in place or named with `use`.
//!
//! One reader per `type`. No message shows a value or an unknown key from here.

use std::collections::HashMap;

use super::oauth2::settings;
use super::reader::suggest::{did_you_mean, list};
use super::reader::value::{Mapping, Value};
use super::{OAuth2, api_key, secret};
use crate::secret::Secret;

/// What a service injects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Auth {
    /// `type: basic` (RFC 7617).
    Basic {
        /// User name.
        username: Username,
        /// Password; `None` where `""` says that there is none.
        password: Option<Secret>,
        /// The password before it, for as long as the upstream does not take the new one.
        previous: Option<Secret>,
    },
    /// `type: bearer` (RFC 6750): the bare token; `Bearer ` is written by Sidekey.
    Bearer {
        /// The bare token.
        token: Secret,
        /// The token before it, likewise.
        previous: Option<Secret>,
    },
    /// `type: api_key`.
    ApiKey {
        /// Where the key goes.
        location: KeyLocation,
        /// Written before the key (`prefix`), such as `Token `; may be empty.
        prefix: String,
        /// The key.
        value: Secret,
        /// The key before it, likewise.
        previous: Option<Secret>,
    },
    /// `type: oauth2` (RFC 6749).
    OAuth2(Box<OAuth2>),
}

impl Auth {
    /// The `type` in the configuration, in logs and in tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::ApiKey { .. } => "api_key",
            Self::OAuth2(_) => "oauth2",
        }
    }

    /// Whether there is a secret from before a rotation.
    pub fn has_previous(&self) -> bool {
        match self {
            Self::Basic { previous, .. } | Self::Bearer { previous, .. } | Self::ApiKey { previous, .. } => {
                previous.is_some()
            }
            Self::OAuth2(_) => false,
        }
    }
}

/// `username`: no colon, which would end it early.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Username {
    /// As it stands in the file; may be empty.
    Text(String),
    /// For APIs that take their key as the user name.
    Secret(Secret),
}

/// Where an API key goes: `in` and `name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyLocation {
    /// A request header.
    Header(http::HeaderName),
    /// A parameter of the query, its name as written (encoded when it is sent).
    Query(String),
    /// A cookie (a token by RFC 6265 §4.1.1).
    Cookie(String),
}

/// The named credentials of the file. One that has a mistake is there without a value, so that naming it is
/// none.
#[derive(Default)]
pub(super) struct Credentials<'a> {
    named: HashMap<&'a str, Credential<'a>>,
    order: Vec<&'a str>,
}

struct Credential<'a> {
    auth: Option<Auth>,
    value: Value<'a>,
    used: bool,
}

impl<'a> Credentials<'a> {
    pub(super) fn read(value: &Value<'a>) -> Self {
        let mut credentials = Self::default();
        for (name, value) in value.clone().private().entries().unwrap_or_default() {
            let auth = value.mapping().and_then(|mapping| {
                if mapping.has("use") {
                    value.error(
                        "`use` names a credential in a service's `auth`; a credential does not name another",
                    );
                    return None;
                }
                parse_inline(mapping)
            });
            credentials.named.insert(name, Credential { auth, value, used: false });
            credentials.order.push(name);
        }
        credentials
    }

    fn take(&mut self, value: &Value<'_>) -> Option<Auth> {
        let name = value.text()?;
        let Some(credential) = self.named.get_mut(name) else {
            let names = || self.order.iter().copied();
            let question = did_you_mean(name, names());
            let known = match self.order.len() {
                0 => "the file has no `credentials`".to_owned(),
                1..=20 => format!("`credentials` has {}", list(names())),
                count => format!("`credentials` has {count} others"),
            };
            let between = if question.is_empty() { "; " } else { " " };
            value.error(format!("no credential of this name{question}{between}{known}"));
            return None;
        };
        credential.used = true;
        credential.auth.clone()
    }

    /// Warns of credentials that no service names.
    pub(super) fn warn_of_unused(&self) {
        for name in &self.order {
            let credential = &self.named[name];
            if !credential.used {
                credential.value.warn("no service uses this credential");
            }
        }
    }
}

/// Reads the `auth` of a service.
pub(super) fn read(value: &Value<'_>, credentials: &mut Credentials<'_>) -> Option<Auth> {
    let value = value.clone().private();
    let mut mapping = value.mapping()?;
    if !mapping.has("use") {
        return parse_inline(mapping);
    }
    if mapping.has("type") {
        value.error("both `use` and `type`; a credential is named or written here, not both");
        return None;
    }
    let auth = mapping.optional("use").and_then(|name| credentials.take(&name));
    mapping.reject_unknown_keys();
    auth
}

type Reader = fn(&mut Mapping<'_>) -> Option<Auth>;

const TYPES: [(&str, Reader); 4] =
    [("basic", basic), ("bearer", bearer), ("api_key", api_key::read), ("oauth2", settings::read)];

/// Reads a credential written in place. Without a good `type` the other keys mean nothing, and nothing is
/// said of them.
fn parse_inline(mut mapping: Mapping<'_>) -> Option<Auth> {
    if !mapping.has("type") {
        let types = list(TYPES.iter().map(|(name, _)| *name));
        mapping.value().error(format!("`type` is required and is not there; one of {types}"));
        return None;
    }
    let read = mapping.optional("type")?.one_of(&TYPES)?;
    let auth = read(&mut mapping);
    mapping.reject_unknown_keys();
    auth
}

fn basic(mapping: &mut Mapping<'_>) -> Option<Auth> {
    let login = name_and_password(mapping);
    let previous = mapping.optional("previous").map(|value| (secret::read(&value), value));
    let (username, password) = login?;
    let previous = previous_secret(previous, password.as_ref(), "password");
    Some(Auth::Basic { username, password, previous })
}

/// The secret before `current`, the value of `key`, where there is one.
pub(super) fn previous_secret(
    previous: Option<(Option<Secret>, Value<'_>)>,
    current: Option<&Secret>,
    key: &str,
) -> Option<Secret> {
    let (previous, value) = previous?;
    if previous.is_some() && previous.as_ref() == current {
        // Not a mistake: whoever writes both files may write the second one first.
        value.warn(format!("the same as `{key}`, and so of no use"));
        return None;
    }
    previous
}

/// The `username` and `password` of `basic` and of a proxy.
pub(super) fn name_and_password(mapping: &mut Mapping<'_>) -> Option<(Username, Option<Secret>)> {
    let name = mapping.required("username");
    let username = name.as_ref().and_then(|value| {
        if !value.is_map() {
            return value.parse(username).map(Username::Text);
        }
        let secret = secret::read(value)?;
        if secret.first_disallowed(|c| c != ':').is_some() {
            value.error("a colon ends the user name (RFC 7617 §2), so the secret cannot have one");
            return None;
        }
        Some(Username::Secret(secret))
    });
    let password = mapping.required("password").and_then(|value| {
        // In so many words: nothing was forgotten.
        if value.is_empty_text() { Some(None) } else { secret::read(&value).map(Some) }
    });
    let (username, password) = (username?, password?);
    if password.is_none() && username == Username::Text(String::new()) {
        mapping.value().error("both `username` and `password` are empty; that is no credential");
        return None;
    }
    Some((username, password))
}

/// Empty is allowed: some APIs want the token as the password of nobody.
fn username(text: &str) -> Result<String, String> {
    if text.contains(':') {
        return Err("a colon ends the user name (RFC 7617 §2), so it cannot have one".into());
    }
    if text.chars().any(char::is_control) {
        return Err("a user name has no control characters".into());
    }
    Ok(text.to_owned())
}

fn bearer(mapping: &mut Mapping<'_>) -> Option<Auth> {
    let token = mapping.required("token").and_then(|value| bearer_token(&value));
    let previous = mapping.optional("previous").map(|value| (bearer_token(&value), value));
    let token = token?;
    let previous = previous_secret(previous, Some(&token), "token");
    Some(Auth::Bearer { token, previous })
}

fn bearer_token(value: &Value<'_>) -> Option<Secret> {
    let token = secret::read(value)?;
    if token.starts_with_ignore_case("Bearer ") {
        value.error("the token begins with `Bearer `, which Sidekey writes itself; leave it out");
        return None;
    }
    if let Some(at) = token.first_disallowed(|c| c.is_ascii_graphic()) {
        value.error(format!(
            "the character at position {at} of the token cannot stand in a header: \
             visible ASCII without spaces"
        ));
        return None;
    }
    Some(token)
}
