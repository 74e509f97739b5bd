//! A listener: an address, or a mapping with the address and `tls`.

use std::fmt;

use super::address;
use super::address::{ADDRESS, ListenAddress, ListenAddresses};
use super::tls;
use super::tls::ListenerTlsConfig;
use crate::config::exposure;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;

/// The format of one listener, or a list of them.
pub(crate) const LISTENERS: Format = Format::OneOrMore(&Format::Defined(&Definition {
    name: "listener",
    description: "An address, or a mapping with the address and `tls`.",
    format: Format::AnyOf(&[ADDRESS, Format::Keys(&[KEYS])]),
}));

const KEYS: Keys = &[
    Key::required("address", ADDRESS, "The address to listen on."),
    Key::optional("tls", Format::Keys(&[tls::KEYS]), "TLS toward callers."),
    Key::optional(
        "callers",
        Format::Words(&REQUIREMENTS),
        "Whether a caller must be known. Default: `required` if the configuration has `callers`.",
    ),
];

/// `callers` of a listener: whether a caller must be known.
const REQUIREMENTS: [(&str, bool); 2] = [("required", true), ("optional", false)];

/// A listener of callers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenerConfig {
    /// The address.
    pub address: ListenAddress,
    /// TLS toward callers; with it, plain HTTP is not accepted.
    pub tls: Option<ListenerTlsConfig>,
    /// Whether a request is rejected if its caller is not known.
    pub requires_caller: bool,
}

impl fmt::Display for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https://" } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

/// Reads one listener or a list of them, and reserves their addresses.
pub(crate) fn read_all(value: &Value<'_>, addresses: &mut ListenAddresses) -> Vec<ListenerConfig> {
    value.one_or_more().iter().filter_map(|value| read(value, addresses)).collect()
}

fn read(value: &Value<'_>, addresses: &mut ListenAddresses) -> Option<ListenerConfig> {
    if !value.is_map() {
        let address = address::read(value)?;
        let requires_caller = addresses.has_callers;
        reserve(value, &address, addresses, requires_caller);
        return Some(ListenerConfig { address, tls: None, requires_caller });
    }
    let mut mapping = value.mapping()?;
    let address = mapping.required("address");
    let tls = mapping.optional("tls").map(|value| tls::read(&value));
    let callers = mapping.optional("callers");
    let requires_caller = callers.as_ref().map(|value| value.one_of(&REQUIREMENTS));
    if let (Some(value), false) = (&callers, addresses.has_callers) {
        value.error("has no effect without `callers` at the top level");
    }
    // An error must not lead to a listener that requires no caller.
    let requires_caller = requires_caller.map_or(addresses.has_callers, |read| read.unwrap_or(true));
    mapping.reject_unknown_keys();
    let address_value = address?;
    let address = address::read(&address_value)?;
    let authenticates_callers =
        tls.as_ref().is_some_and(|tls| tls.as_ref().is_none_or(|tls| tls.client_ca_file.is_some()));
    reserve(&address_value, &address, addresses, authenticates_callers || requires_caller);
    // An error in `tls` was reported; it must not lead to a listener without TLS.
    let tls = match tls {
        Some(None) => return None,
        Some(tls) => tls,
        None => None,
    };
    Some(ListenerConfig { address, tls, requires_caller })
}

fn reserve(
    value: &Value<'_>,
    address: &ListenAddress,
    addresses: &mut ListenAddresses,
    authenticates_callers: bool,
) {
    addresses.reserve(value, address);
    if let ListenAddress::Unix(path) = address
        && let Some(warning) = exposure::of_socket("the credentials by the socket", path)
    {
        value.warn(warning);
    }
    if address.is_public() && !authenticates_callers {
        value.warn("other machines can connect to this address and use the credentials");
    }
}
