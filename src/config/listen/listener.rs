//! A listener: an address, or an address with what is spoken there.

use std::fmt;

use super::address;
use super::address::Claims;
use super::tls;
use super::tls::ListenerTlsConfig;
use crate::config::Listen;
use crate::config::reader::value::Item;

/// An address to listen on, with TLS or without.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listener {
    /// Where.
    pub address: Listen,
    /// Callers speak TLS there, and nothing else.
    pub tls: Option<ListenerTlsConfig>,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls.is_some() { "https://" } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

/// Reads one listener or a list of them; their addresses belong to them and to no other.
pub(crate) fn read_all(item: &Item<'_>, claims: &mut Claims) -> Vec<Listener> {
    item.one_or_more().iter().filter_map(|item| read(item, claims)).collect()
}

fn read(item: &Item<'_>, claims: &mut Claims) -> Option<Listener> {
    if !item.is_map() {
        let address = address::read(item)?;
        claim(item, &address, claims, false);
        return Some(Listener { address, tls: None });
    }
    let mut table = item.table()?;
    let address = table.required("address");
    let tls = table.optional("tls").map(|item| tls::read(&item));
    table.finish();
    let address_item = address?;
    let address = address::read(&address_item)?;
    let knows_callers =
        tls.as_ref().is_some_and(|tls| tls.as_ref().is_none_or(|tls| tls.client_ca.is_some()));
    claim(&address_item, &address, claims, knows_callers);
    // A mistake in `tls` is on the report; a listener without TLS must not come of it.
    let tls = match tls {
        Some(None) => return None,
        Some(tls) => tls,
        None => None,
    };
    Some(Listener { address, tls })
}

fn claim(item: &Item<'_>, address: &Listen, claims: &mut Claims, knows_callers: bool) {
    claims.claim(item, address);
    if address.is_public() && !knows_callers {
        item.warn("other machines can reach this address, and whoever reaches it can use the credentials");
    }
}
