//! `username` and `password` of `type: basic` and of proxies (RFC 7617).

use super::auth::previous::previous_secret;
use super::reader::mapping::Mapping;
use super::reader::secret;
use super::reader::secret::{SECRET, VALUE};
use super::reader::table::Key;
use crate::secret::{Character, Secret};

/// The key `username`.
pub const USERNAME: Key =
    Key::depends("username", VALUE, "User name (RFC 7617), without a colon; may be a secret.");
/// The key `password`.
pub const PASSWORD: Key = Key::depends("password", SECRET, "Password; `\"\"` if there is none.");

/// The key `previous`, beside `password`.
pub const PREVIOUS_PASSWORD: Key = Key::optional(
    "previous",
    SECRET,
    "The password before a rotation, used while the upstream rejects the new one.",
);

/// A login, with the password before a rotation.
pub struct RotatedLogin {
    /// The user name.
    pub username: Username,
    /// The password; `None` if the configuration says `""`.
    pub password: Option<Secret>,
    /// The previous password, if it is another one.
    pub previous: Option<Secret>,
}

/// `username`. It has no colon, which would end it (RFC 7617 §2).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Username {
    /// Text of the configuration; may be empty.
    Text(String),
    /// A secret, for APIs whose key is the user name.
    Secret(Secret),
}

/// Reads `username` and `password`; the password is `None` if the configuration says `""`.
pub fn name_and_password(mapping: &mut Mapping<'_>) -> Option<(Username, Option<Secret>)> {
    let name = mapping.required("username");
    let username = name.as_ref().and_then(|value| {
        if !value.is_map() {
            return value.parse(username).map(Username::Text);
        }
        let secret = secret::read(value)?;
        if secret.first_disallowed(|c| c != ':').is_some() {
            value.error("a colon would end the user name (RFC 7617 §2), so the secret cannot contain one");
            return None;
        }
        Some(Username::Secret(secret))
    });
    let password = mapping.required("password").and_then(|value| {
        // An explicit `""` means that there is no password.
        if value.is_empty_text() { Some(None) } else { secret::read(&value).map(Some) }
    });
    let (username, password) = (username?, password?);
    if password.is_none() && username == Username::Text(String::new()) {
        mapping.value().error("`username` and `password` are both empty; set at least one of them");
        return None;
    }
    Some((username, password))
}

/// Reads `username`, `password` and `previous`.
pub fn rotated_login(mapping: &mut Mapping<'_>) -> Option<RotatedLogin> {
    let login = name_and_password(mapping);
    let previous = mapping.optional("previous").map(|value| (secret::read(&value), value));
    let (username, password) = login?;
    let previous = previous_secret(previous, password.as_ref(), "password");
    Some(RotatedLogin { username, password, previous })
}

/// Checks a user name. It may be empty: some APIs expect the token as the password of an empty user name.
fn username(text: &str) -> Result<String, String> {
    if text.contains(':') {
        return Err("a colon would end the user name (RFC 7617 §2), so it cannot contain one".into());
    }
    if let Some(found) = Character::first_unseen(text) {
        return Err(format!("the user name contains {found}"));
    }
    Ok(text.to_owned())
}
