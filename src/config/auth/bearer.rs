//! `type: bearer`: a bare token.

use super::kinds::Auth;
use super::previous::previous_secret;
use crate::config::reader::secret;
use crate::config::reader::value::{Mapping, Value};
use crate::secret::Secret;

pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Auth> {
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
