//! Which callers may use which services, and how.

use super::caller_id::CallerId;
use super::refusal::Refusal;
use crate::config::{RoleConfig, ServiceConfig};
use crate::rules::{Decision, Denial, Rule, Rules};

/// The roles of a configuration, by service.
pub(super) struct Roles {
    roles: Box<[Role]>,
    /// For each service the roles that name it.
    grants: Box<[Box<[Grant]>]>,
}

struct Role {
    name: String,
    line: usize,
    /// For each caller whether it has the role.
    callers: Box<[bool]>,
}

struct Grant {
    role: usize,
    rules: Option<Rules>,
}

/// What lets a request be forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission<'p> {
    /// The role, and its line; `None` if none is needed.
    pub role: Option<(&'p str, usize)>,
    /// The rule of the role.
    pub rule: Option<&'p Rule>,
}

/// Why a request is not forwarded.
#[derive(Debug, PartialEq, Eq)]
pub struct NotPermitted<'p> {
    /// The reason.
    pub refusal: Refusal,
    /// The role that comes closest, and its line.
    pub role: Option<(&'p str, usize)>,
    /// Why it does not allow the request.
    pub denial: Option<Denial<'p>>,
}

impl Permission<'_> {
    const WITHOUT_ROLE: Self = Self { role: None, rule: None };
}

impl Roles {
    pub(super) fn new(roles: &[RoleConfig], callers: &[&str], services: &[ServiceConfig]) -> Self {
        let grants = services.iter().map(|service| {
            let of_role = |(index, role): (usize, &RoleConfig)| {
                let grants = role.services.iter().filter(|grant| grant.service == service.name);
                grants.map(|grant| Grant { role: index, rules: grant.rules.clone() }).collect::<Vec<_>>()
            };
            roles.iter().enumerate().flat_map(of_role).collect()
        });
        let role = |role: &RoleConfig| Role {
            name: role.name.clone(),
            line: role.line,
            callers: callers.iter().map(|caller| role.callers.iter().any(|name| name == caller)).collect(),
        };
        Self { grants: grants.collect(), roles: roles.iter().map(role).collect() }
    }

    /// Whether any role has rules for the service at that position.
    pub(super) fn have_rules(&self, service: usize) -> bool {
        self.grants.get(service).is_some_and(|grants| grants.iter().any(|grant| grant.rules.is_some()))
    }

    /// Decides about a request. `is_required` says whether the listener requires a known caller. `decide` applies rules to the request.
    pub(super) fn permit<'p>(
        &'p self,
        service: usize,
        caller: Option<CallerId>,
        is_required: bool,
        decide: impl Fn(&'p Rules) -> Decision<'p>,
    ) -> Result<Permission<'p>, NotPermitted<'p>> {
        let refused = |refusal| Err(NotPermitted { refusal, role: None, denial: None });
        let grants = self.grants.get(service).map_or(&[][..], |grants| grants);
        if grants.is_empty() {
            // A listener that requires callers serves what a role names, and nothing that was forgotten.
            return match (is_required, caller) {
                (true, None) => refused(Refusal::NoCredential),
                (true, Some(_)) if !self.roles.is_empty() => refused(Refusal::NoRole),
                _ => Ok(Permission::WITHOUT_ROLE),
            };
        }
        let Some(CallerId(caller)) = caller else { return refused(Refusal::NoCredential) };
        let mut closest = NotPermitted { refusal: Refusal::NoRole, role: None, denial: None };
        for grant in grants {
            let role = &self.roles[grant.role];
            if !role.callers.get(caller).copied().unwrap_or_default() {
                continue;
            }
            let named = Some((role.name.as_str(), role.line));
            match grant.rules.as_ref().map_or(Decision::Allowed(None), &decide) {
                Decision::Allowed(by) => return Ok(Permission { role: named, rule: by }),
                Decision::Denied(denial) => {
                    closest = NotPermitted { refusal: Refusal::Rule, role: named, denial: Some(denial) };
                }
            }
        }
        Err(closest)
    }
}
