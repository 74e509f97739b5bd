//! `username` and `password` of `type: basic` and of proxies (RFC 7617).

use super::reader::secret;
use super::reader::value::Mapping;
use crate::secret::Secret;

/// `username`: no colon, which would end it early.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Username {
    /// As it stands in the file; may be empty.
    Text(String),
    /// For APIs that take their key as the user name.
    Secret(Secret),
}

/// The `username` and `password` of `basic` and of a proxy.
pub fn name_and_password(mapping: &mut Mapping<'_>) -> Option<(Username, Option<Secret>)> {
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
