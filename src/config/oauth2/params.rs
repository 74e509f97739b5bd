//! Further form parameters.

use super::client_auth;
use crate::config::reader::suggest::list;
use crate::config::reader::table::{Format, Names};
use crate::config::reader::value::Value;

/// The format of further parameters.
pub(crate) const PARAMS: Format =
    Format::Names(&Names::of(Format::AnyOf(&[Format::Text, Format::List(&Format::Text)])));

/// Form parameters that other keys set.
const RESERVED: [&str; 2] = ["grant_type", "scope"];

/// Reads form parameters. `own`: parameters that the grant sets. A list repeats the parameter, as in RFC 8707
/// for `resource`.
pub(crate) fn params(section: &Value<'_>, own: &[&str]) -> Vec<(String, String)> {
    let mut params = Vec::new();
    for (name, value) in section.entries().unwrap_or_default() {
        if RESERVED.contains(&name) || client_auth::PARAMETERS.contains(&name) {
            let names = list(RESERVED.into_iter().chain(client_auth::PARAMETERS));
            value.error(format!("Sidekey sets {names} itself, from other keys"));
        } else if own.contains(&name) {
            value.error("Sidekey sets this parameter itself with this grant, from another key");
        } else if name.is_empty() {
            section.error("a parameter has an empty name");
        } else if value.is_empty() {
            // The name is not shown: it may be part of a secret, cut at a comma.
            section.error("a parameter without a value; set one (in quotes if it contains a comma), or remove the parameter");
        } else {
            let values = if value.is_list() { value.list().unwrap_or_default() } else { vec![value] };
            params
                .extend(values.iter().filter_map(|value| Some((name.to_owned(), value.text()?.to_owned()))));
        }
    }
    params
}
