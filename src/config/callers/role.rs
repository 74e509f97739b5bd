//! `roles`: which callers may use which services, and how.

use crate::config::reader::table::{Definition, Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::service::rules;
use crate::rules::Rules;

/// The format of `roles`.
pub(crate) const ROLES: Format =
    Format::Names(&Names { min: 1, pattern: Some(super::caller::NAME), ..Names::of(ROLE) });

const ROLE: Format = Format::Defined(&Definition {
    name: "role",
    description: "Callers, and the services that they may use.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[
    Key::required("callers", Format::OneOrMore(&Format::Text), "Names of callers that have the role."),
    Key::required(
        "services",
        Format::AnyOf(&[
            Format::NonEmptyList(&Format::Text),
            Format::Names(&Names { min: 1, ..Names::of(Format::Keys(&[GRANT])) }),
        ]),
        "Names of services, as a list, or each with rules.",
    ),
];

const GRANT: Keys = &[
    Key::optional("allow", rules::RULES, "Rules of which one must match a request."),
    Key::optional("deny", rules::RULES, "Rules that no request by this role may match."),
];

/// An entry of `roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleConfig {
    /// The key under `roles`.
    pub name: String,
    /// Its line in the configuration.
    pub line: usize,
    /// Names of callers.
    pub callers: Vec<String>,
    /// The services, each with the requests that are allowed.
    pub services: Vec<GrantConfig>,
}

/// One service of a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantConfig {
    /// The name of the service.
    pub service: String,
    /// Its line in the configuration.
    pub line: usize,
    /// The requests that are allowed; `None`: all.
    pub rules: Option<Rules>,
}

/// What a role may name.
pub(super) struct KnownNames<'n> {
    /// The callers.
    pub(super) callers: Vec<&'n str>,
    /// The services.
    pub(super) services: &'n [&'n str],
    /// Whether a name of no service is an error, or a warning.
    pub(super) is_strict: bool,
}

/// Reads `roles`.
pub(super) fn read_all(value: &Value<'_>, names: &KnownNames<'_>) -> Option<Vec<RoleConfig>> {
    let entries = value.entries()?;
    if entries.is_empty() {
        value.error("no role; remove the key, and every known caller may use every service");
        return None;
    }
    let roles: Vec<_> = entries.iter().map(|(name, value)| read(name, value, names)).collect();
    roles.into_iter().collect()
}

fn read(name: &str, value: &Value<'_>, names: &KnownNames<'_>) -> Option<RoleConfig> {
    if !super::caller::is_name(name) {
        value.error(super::caller::NAMES);
    }
    let mut mapping = value.mapping()?;
    let members = mapping.required("callers").map(|value| value.one_or_more());
    let grants = mapping.required("services");
    mapping.reject_unknown_keys();
    let known = |value: &Value<'_>| {
        value.parse(|text| {
            if names.callers.contains(&text) {
                Ok(text.to_owned())
            } else {
                Err("no caller of `callers` has this name".into())
            }
        })
    };
    let members: Vec<_> = members?.iter().map(known).collect();
    let check = |name: &str, value: &Value<'_>| match names.services.contains(&name) {
        true => {}
        false if names.is_strict => value.error(NO_SERVICE),
        false => value.warn(NO_SERVICE),
    };
    let grants = grants?;
    let grants: Vec<_> = if grants.is_map() {
        let grant = |(name, value): &(&str, Value<'_>)| {
            check(name, value);
            let mut mapping = value.mapping()?;
            let rules = rules::read(&mut mapping);
            mapping.reject_unknown_keys();
            Some(GrantConfig { service: (*name).to_owned(), line: value.line(), rules })
        };
        grants.entries()?.iter().map(grant).collect()
    } else {
        let grant = |value: &Value<'_>| {
            let service = value.text()?.to_owned();
            check(&service, value);
            Some(GrantConfig { service, line: value.line(), rules: None })
        };
        let list = grants.list()?;
        if list.is_empty() {
            grants.error("the list is empty; name at least one service");
            return None;
        }
        list.iter().map(grant).collect()
    };
    Some(RoleConfig {
        name: name.to_owned(),
        line: value.line(),
        callers: members.into_iter().collect::<Option<_>>()?,
        services: grants.into_iter().collect::<Option<_>>()?,
    })
}

const NO_SERVICE: &str = "no service has this name";
