//! Extra form parameters.

use super::client_auth;
use crate::config::reader::suggest::list;
use crate::config::reader::value::Value;

/// Form parameters that other keys write.
const RESERVED: [&str; 2] = ["grant_type", "scope"];

/// A list gives the parameter more than once, as RFC 8707 has it for `resource`.
pub(crate) fn params(section: &Value<'_>, own: &[&str]) -> Vec<(String, String)> {
    let mut params = Vec::new();
    for (name, value) in section.entries().unwrap_or_default() {
        if RESERVED.contains(&name) || client_auth::PARAMETERS.contains(&name) {
            let names = list(RESERVED.into_iter().chain(client_auth::PARAMETERS));
            value.error(format!("Sidekey writes {names} itself, from keys of their own"));
        } else if own.contains(&name) {
            value.error("with this grant Sidekey writes the parameter itself, from a key of its own");
        } else if name.is_empty() {
            section.error("a parameter without a name");
        } else if value.is_empty() {
            // The name is not shown: it may be the tail of a secret that was cut at a comma.
            section.error("a parameter without a value; give it one in quotes, or leave it out");
        } else {
            let values = if value.is_list() { value.list().unwrap_or_default() } else { vec![value] };
            params
                .extend(values.iter().filter_map(|value| Some((name.to_owned(), value.text()?.to_owned()))));
        }
    }
    params
}
