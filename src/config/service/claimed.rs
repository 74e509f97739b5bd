//! What no two services may have: a host name, and an address to listen on.

use std::collections::HashMap;

use super::claims::Claims;
use super::entry::{Place, ServiceConfig};
use crate::config::listen::address::{ClaimedBy, ListenAddresses};
use crate::config::reader::report::Report;

/// What is claimed.
#[derive(Default)]
pub(crate) struct Claimed {
    hosts: HashMap<String, ClaimedBy>,
    addresses: ListenAddresses,
}

impl Claimed {
    /// Addresses of the top level of the file.
    pub(crate) fn claim_addresses(&mut self, addresses: ListenAddresses, report: &Report<'_>) {
        self.addresses.check(&addresses, report);
        self.addresses.add(addresses);
    }

    /// Reports an error for each thing that a service claims and another one has.
    pub(crate) fn check(&self, claims: &Claims, report: &Report<'_>) {
        for (index, (host, spot)) in claims.hosts.iter().enumerate() {
            let own = claims.hosts[..index].iter().find(|(other, _)| other == host);
            let own = own.map(|(_, spot)| report.place(spot, spot.location.file));
            let other = self.hosts.get(host).map(|other| other.name(report, spot)).or(own);
            if let Some(other) = other {
                let message = format!("the same host as {other}; a host belongs to one service");
                report.error(spot.location, &spot.path, message);
            }
        }
        self.addresses.check(&claims.addresses, report);
    }

    /// Claims what a service of the file claims, if no other one has it.
    pub(crate) fn add(&mut self, claims: Claims) {
        for (host, spot) in claims.hosts {
            self.hosts.entry(host).or_insert(ClaimedBy::Value(spot));
        }
        self.addresses.add(claims.addresses);
    }

    /// Claims what a running service has. Claims nothing and returns false if another one has any of it.
    pub(crate) fn claim_running(&mut self, service: &ServiceConfig) -> bool {
        let is_free = service.hosts.iter().all(|host| !self.hosts.contains_key(host))
            && service.listen.iter().all(|listen| self.addresses.is_free(&listen.address));
        if is_free {
            let by = ClaimedBy::running(&service.name);
            self.hosts.extend(service.hosts.iter().map(|host| (host.clone(), by.clone())));
            for listen in &service.listen {
                self.addresses.reserve_other(&listen.address, by.clone());
            }
        }
        is_free
    }

    /// Removes what another service has, and what is there twice.
    pub(crate) fn retain_free(&self, place: &mut Place) {
        let mut own = ListenAddresses::default();
        place.hosts.retain(|host| !self.hosts.contains_key(host));
        place.listen.retain(|listen| {
            let is_free = self.addresses.is_free(&listen.address) && own.is_free(&listen.address);
            own.reserve_other(&listen.address, ClaimedBy::Other(String::new()));
            is_free
        });
    }
}
