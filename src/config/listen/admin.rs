//! `admin`: the address of the admin listener, or a mapping with the address and the access rules.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::address;
use super::address::{ADDRESS, ListenAddress, ListenAddresses};
use crate::config::exposure;
use crate::config::host;
use crate::config::host::HOST;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::secret::Secret;

/// The format of `admin`.
pub(crate) const ADMIN: Format = Format::AnyOf(&[ADDRESS, Format::Keys(&[KEYS])]);

const KEYS: Keys = &[
    Key::optional("listen", ADDRESS, "Address for health, metrics, status page and JSON API.")
        .or("127.0.0.1:9090"),
    Key::optional("token", SECRET, "What a request needs to change anything: at least 16 characters."),
    Key::optional("require_token_to_read", Format::Bool, "Reading the JSON API needs the token too.")
        .or("false"),
    Key::optional("require_token_for_metrics", Format::Bool, "`/metrics` needs the token too.").or("false"),
    Key::optional(
        "hosts",
        Format::List(&HOST),
        "Host names at which page and API answer, beside IP addresses and localhost.",
    ),
    Key::optional(
        "manage",
        Format::Text,
        "Folder for the services that page and API add, one file each; `include` leads there. Relative to this file.",
    ),
];

/// `admin`: the listener for health, metrics, the status page and the JSON API, and its access rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The address.
    pub listen: ListenAddress,
    /// Required (`Authorization: Bearer …`) for requests that change anything.
    pub token: Option<Secret>,
    /// Whether reading through the JSON API requires the token as well.
    pub require_token_to_read: bool,
    /// Whether `/metrics` and the body of `/readyz` require the token as well.
    pub require_token_for_metrics: bool,
    /// Allowed host names in requests to the page and the API, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The folder of the services that the API may add and change.
    pub manage: Option<PathBuf>,
}

impl Admin {
    /// Defaults at this address: without a token, reading is allowed and changes are not.
    pub fn at(listen: ListenAddress) -> Self {
        Self {
            listen,
            token: None,
            require_token_to_read: false,
            require_token_for_metrics: false,
            hosts: Vec::new(),
            manage: None,
        }
    }
}

/// Shortest token, in bytes. A shorter one could be guessed by anyone who can connect.
const MIN_TOKEN_LENGTH: usize = 16;

/// Error message for a value of another type.
const EXPECTED: &str = "expected an address such as 127.0.0.1:9090, or a mapping with `listen` and `token`";

pub(crate) fn read(value: Option<Value<'_>>, addresses: &mut ListenAddresses) -> Admin {
    let default = ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], 9090)));
    let Some(value) = value else {
        addresses.reserve_default("admin", &default);
        return Admin::at(default);
    };
    if value.is_list() {
        value.error(EXPECTED);
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
        && (token.is_shorter_than(MIN_TOKEN_LENGTH)
            || token.first_disallowed(|c| c.is_ascii_graphic()).is_some())
    {
        value.error(format!(
            "an admin token has at least {MIN_TOKEN_LENGTH} characters, visible ASCII without spaces; \
             example: the output of `openssl rand -hex 32`"
        ));
    }
    let mut switch = |key| {
        let value = mapping.optional(key)?;
        let on = value.boolean()?;
        if on && token_value.is_none() {
            value.error("this has no effect without `token`");
        }
        Some(on)
    };
    let require_token_to_read = switch("require_token_to_read").unwrap_or_default();
    let require_token_for_metrics = switch("require_token_for_metrics").unwrap_or_default();
    let hosts = mapping.optional("hosts").map_or_else(Vec::new, |value| hosts(&value));
    let manage = mapping.optional("manage").and_then(|value| {
        if token_value.is_none() {
            value.error("this needs `token`: whoever has it may add and change services");
        }
        value.parse(folder)
    });
    mapping.reject_unknown_keys();
    Admin { listen, token, require_token_to_read, require_token_for_metrics, hosts, manage }
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
    if let ListenAddress::Unix(path) = &listen
        && let Some(warning) = exposure::of_socket("the admin socket", path)
    {
        value.warn(warning);
    }
    listen
}

fn folder(text: &str) -> Result<PathBuf, String> {
    match text {
        "" => Err("empty".into()),
        _ if text.contains('\0') => Err("not a valid path".into()),
        _ => Ok(PathBuf::from(text)),
    }
}

fn hosts(value: &Value<'_>) -> Vec<String> {
    let items = value.list().unwrap_or_default();
    let name = |text: &str| host::parse(text).map(|host| host.to_string());
    items.iter().filter_map(|value| value.parse(name)).collect()
}
