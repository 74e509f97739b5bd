//! `auth` as a list: several credentials in one request.

use super::settings::{Auth, AuthFacts};
use crate::config::reader::value::Value;

/// The limit on the credentials of a list.
pub const MAX_CREDENTIALS: usize = 4;

/// Makes one credential of the entries of a list, each with what was read from it.
pub(super) fn of(entries: Vec<(Value<'_>, Option<Auth>)>) -> Option<Auth> {
    if let Some((value, _)) = entries.get(MAX_CREDENTIALS) {
        value.error(format!("a request has at most {MAX_CREDENTIALS} credentials"));
        return None;
    }
    let read: Vec<_> =
        entries.iter().filter_map(|(value, auth)| Some((value, auth.as_ref()?.facts()))).collect();
    let are_compatible = read.iter().enumerate().all(|(index, (value, facts))| {
        let conflict = read[..index].iter().find_map(|(_, before)| conflict(before, facts));
        conflict.map(|message| value.error(message)).is_none()
    });
    let auths: Option<Vec<_>> = entries.into_iter().map(|(_, auth)| auth).collect();
    auths.filter(|auths| are_compatible && !auths.is_empty()).map(Auth::list)
}

/// Why two credentials cannot be in one request.
fn conflict(one: &AuthFacts, other: &AuthFacts) -> Option<String> {
    if let Some(place) = other.places.iter().find(|place| one.places.contains(place)) {
        return Some(format!("another credential of the list goes to the same place, {place}"));
    }
    if one.signs && other.signs {
        return Some(
            "another credential of the list signs the request as well, and would not cover this one".into(),
        );
    }
    let is_ambiguous =
        |one: &AuthFacts, other: &AuthFacts| one.has_previous && (other.has_previous || !other.is_fixed);
    (is_ambiguous(one, other) || is_ambiguous(other, one)).then(|| {
        "with `previous` in a list, every other credential must be one that never changes: after a 401 it is not known which \
         one was rejected"
            .into()
    })
}
