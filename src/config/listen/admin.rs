//! `admin`: an address, or a mapping that also says who may do what there.

use std::net::SocketAddr;

use super::address;
use super::address::{ListenAddress, ListenAddresses};
use crate::config::host;
use crate::config::reader::secret;
use crate::config::reader::value::Value;
use crate::secret::Secret;

/// `admin`: the listener for health, metrics, the status page and the JSON API, and who may do what there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// Where it listens.
    pub listen: ListenAddress,
    /// What a request must bring (`Authorization: Bearer …`) to change anything.
    pub token: Option<Secret>,
    /// The JSON API shows nothing without the token either.
    pub require_token_to_read: bool,
    /// Nor do `/metrics` and the body of `/readyz`.
    pub require_token_for_metrics: bool,
    /// Host names, beside addresses and `localhost`, under which page and API may be reached.
    pub hosts: Vec<String>,
}

impl Admin {
    /// Open for reading, closed for changes.
    pub fn at(listen: ListenAddress) -> Self {
        let (require_token_to_read, require_token_for_metrics) = (false, false);
        Self { listen, token: None, require_token_to_read, require_token_for_metrics, hosts: Vec::new() }
    }
}

/// A shorter token could be guessed by whoever reaches the address.
const SHORTEST_TOKEN: usize = 16;

const WRITTEN: &str = "expected an address such as 127.0.0.1:9090, or a mapping with `listen` and `token`";

pub(crate) fn read(value: Option<Value<'_>>, addresses: &mut ListenAddresses) -> Admin {
    let default = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9090)));
    let Some(value) = value else {
        addresses.reserve_default("admin", &default);
        return Admin::at(default);
    };
    if value.is_list() {
        value.error(WRITTEN);
        return Admin::at(default);
    }
    if !value.is_map() {
        return Admin::at(address(Some(value), addresses, default));
    }
    let Some(mut mapping) = value.mapping() else { return Admin::at(default) };
    let listen = address(mapping.optional("listen"), addresses, default);
    let token_value = mapping.optional("token");
    let token = token_value.as_ref().and_then(secret::read);
    if let (Some(value), Some(token)) = (&token_value, &token)
        && (token.is_shorter_than(SHORTEST_TOKEN)
            || token.first_disallowed(|c| c.is_ascii_graphic()).is_some())
    {
        value.error(format!(
            "an admin token is at least {SHORTEST_TOKEN} characters, visible ASCII without spaces; \
             such as what `openssl rand -hex 32` prints"
        ));
    }
    let mut switch = |key| {
        let value = mapping.optional(key)?;
        let on = value.boolean()?;
        if on && token_value.is_none() {
            value.error("there is no `token` beside it that could be required");
        }
        Some(on)
    };
    let require_token_to_read = switch("require_token_to_read").unwrap_or_default();
    let require_token_for_metrics = switch("require_token_for_metrics").unwrap_or_default();
    let hosts = mapping.optional("hosts").map_or_else(Vec::new, |value| hosts(&value));
    mapping.reject_unknown_keys();
    Admin { listen, token, require_token_to_read, require_token_for_metrics, hosts }
}

fn address(
    value: Option<Value<'_>>,
    addresses: &mut ListenAddresses,
    default: ListenAddress,
) -> ListenAddress {
    let Some(value) = value else {
        addresses.reserve_default("admin", &default);
        return default;
    };
    let Some(listen) = address::read(&value) else { return default };
    addresses.reserve(&value, &listen);
    listen
}

fn hosts(value: &Value<'_>) -> Vec<String> {
    let items = value.list().unwrap_or_default();
    let name = |text: &str| host::parse(text).map(|host| host.to_string());
    items.iter().filter_map(|value| value.parse(name)).collect()
}
