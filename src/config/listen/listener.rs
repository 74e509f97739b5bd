//! A listener: an address, or an address with what is spoken there.

use std::fmt;

use super::address;
use super::address::{ListenAddress, ListenAddresses};
use super::tls;
use super::tls::ListenerTlsConfig;
use crate::config::reader::value::Value;

/// An address to listen on, with TLS or without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenerConfig {
    /// Where.
    pub address: ListenAddress,
    /// Callers speak TLS there, and nothing else.
    pub tls: Option<ListenerTlsConfig>,
}

impl fmt::Display for ListenerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https://" } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

/// Reads one listener or a list of them; their addresses belong to them and to no other.
pub(crate) fn read_all(value: &Value<'_>, addresses: &mut ListenAddresses) -> Vec<ListenerConfig> {
    value.one_or_more().iter().filter_map(|value| read(value, addresses)).collect()
}

fn read(value: &Value<'_>, addresses: &mut ListenAddresses) -> Option<ListenerConfig> {
    if !value.is_map() {
        let address = address::read(value)?;
        reserve(value, &address, addresses, false);
        return Some(ListenerConfig { address, tls: None });
    }
    let mut mapping = value.mapping()?;
    let address = mapping.required("address");
    let tls = mapping.optional("tls").map(|value| tls::read(&value));
    mapping.reject_unknown_keys();
    let address_value = address?;
    let address = address::read(&address_value)?;
    let knows_callers =
        tls.as_ref().is_some_and(|tls| tls.as_ref().is_none_or(|tls| tls.client_ca_file.is_some()));
    reserve(&address_value, &address, addresses, knows_callers);
    // A mistake in `tls` is on the report; a listener without TLS must not come of it.
    let tls = match tls {
        Some(None) => return None,
        Some(tls) => tls,
        None => None,
    };
    Some(ListenerConfig { address, tls })
}

fn reserve(value: &Value<'_>, address: &ListenAddress, addresses: &mut ListenAddresses, knows_callers: bool) {
    addresses.reserve(value, address);
    if address.is_public() && !knows_callers {
        value.warn("other machines can reach this address, and whoever reaches it can use the credentials");
    }
}
