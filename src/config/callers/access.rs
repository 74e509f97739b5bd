//! `callers` and `roles` together.

use http::header::{AUTHORIZATION, PROXY_AUTHORIZATION};

use super::caller;
use super::caller::CallerConfig;
use super::role;
use super::role::{KnownNames, RoleConfig};
use crate::config::reader::value::Value;
use crate::config::service::entry::ServiceConfig;

/// The names of the services that roles may name.
pub(crate) struct ServiceNames<'n> {
    /// Every service that was read.
    pub(crate) known: Vec<&'n str>,
    /// Whether a role that names another one is an error, or a warning: who removes a service from a file stops no other one.
    pub(crate) is_strict: bool,
}

/// Reads `callers` and `roles`. A role names services of every file, so that these are read before.
pub(crate) fn read(
    callers: Option<&Value<'_>>,
    roles: Option<&Value<'_>>,
    services: &ServiceNames<'_>,
) -> (Vec<CallerConfig>, Vec<RoleConfig>) {
    let Some(callers) = callers else {
        if let Some(roles) = roles {
            roles.error("a role is given to callers, and there is no `callers`");
        }
        return Default::default();
    };
    // Without the names of the callers every name in a role would be reported as well.
    let Some(callers) = caller::read_all(callers) else { return Default::default() };
    let Some(value) = roles else { return (callers, Vec::new()) };
    let names = KnownNames {
        callers: callers.iter().map(|caller| caller.name.as_str()).collect(),
        services: &services.known,
        is_strict: services.is_strict,
    };
    let roles = role::read_all(value, &names).unwrap_or_default();
    let is_named =
        |service: &&str| roles.iter().flat_map(|role| &role.services).any(|grant| grant.service == *service);
    for service in services.known.iter().filter(|service| !roles.is_empty() && !is_named(service)) {
        value.warn(format!(
            "no role names the service `{service}`: a listener that requires callers serves it to none, and one with \
             `callers: optional` to all",
        ));
    }
    (callers, roles)
}

/// Removes from what the services pass on each field in which a caller may present a credential, if a caller does.
pub(crate) fn remove_credentials_of_callers(services: &mut [ServiceConfig], callers: &[CallerConfig]) {
    if !callers.iter().any(CallerConfig::presents_credential) {
        return;
    }
    for service in services {
        for field in [AUTHORIZATION, PROXY_AUTHORIZATION] {
            // A service that runs with its previous settings may have them.
            if !service.headers.remove.contains(&field) {
                service.headers.remove.push(field);
            }
        }
    }
}
