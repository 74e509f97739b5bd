//! `type: basic`: user name and password.

use super::kinds::Auth;
use super::previous::previous_secret;
use crate::config::basic_auth::name_and_password;
use crate::config::reader::secret;
use crate::config::reader::value::Mapping;

pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Auth> {
    let login = name_and_password(mapping);
    let previous = mapping.optional("previous").map(|value| (secret::read(&value), value));
    let (username, password) = login?;
    let previous = previous_secret(previous, password.as_ref(), "password");
    Some(Auth::Basic { username, password, previous })
}
