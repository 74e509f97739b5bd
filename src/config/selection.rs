//! Reads some of the services of a file. The others are not looked at: their secrets are not fetched, and an error in one of them is
//! not reported.

use std::collections::BTreeSet;

use super::reader::report::sanitize;
use super::reader::suggest::{ask, list};
use super::reader::tree::{Kind, Node};

/// Which services are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every service of the file.
    All,
    /// These services, and of `credentials` those that they use.
    Named(BTreeSet<String>),
}

impl Selection {
    /// Removes from a parsed file what is not selected. The error says which service the file does not have.
    pub(super) fn apply(&self, root: &mut Node) -> Result<(), String> {
        let Self::Named(names) = self else { return Ok(()) };
        let mut used = BTreeSet::new();
        if let Some(services) = entries(root, "services") {
            let known = || service_names(services);
            if let Some(unknown) = names.iter().find(|name| !known().contains(&name.as_str())) {
                let question = ask(unknown, known().into_iter());
                let services = list(known());
                return Err(format!("no service `{}`{question} The file has: {services}", sanitize(unknown)));
            }
            // What `<<` merges is a mapping with several services.
            services.retain_mut(|(name, node)| {
                if name == "<<" {
                    retain(node, names);
                }
                name == "<<" || names.contains(name)
            });
            for (_, service) in services.iter() {
                collect_used(service, &mut used);
            }
        }
        if let Some(roles) = entries(root, "roles") {
            roles.retain_mut(|(_, role)| retain_granted(role, names));
            if roles.is_empty()
                && let Kind::Map(top) = &mut root.kind
            {
                top.retain(|(key, _)| key != "roles");
            }
        }
        if let Some(credentials) = entries(root, "credentials") {
            credentials.retain(|(name, _)| name == "<<" || used.contains(name));
            if credentials.is_empty()
                && let Kind::Map(top) = &mut root.kind
            {
                top.retain(|(key, _)| key != "credentials");
            }
        }
        Ok(())
    }
}

/// Removes the other services from a role; returns whether it has any left. What is no role is left for its reader.
fn retain_granted(role: &mut Node, names: &BTreeSet<String>) -> bool {
    let Some(grants) = (match &mut role.kind {
        Kind::Map(role) => role.iter_mut().find(|(key, _)| key == "services").map(|(_, grants)| grants),
        _ => None,
    }) else {
        return true;
    };
    match &mut grants.kind {
        Kind::Map(grants) => {
            grants.retain(|(name, _)| name == "<<" || names.contains(name));
            !grants.is_empty()
        }
        Kind::List(grants) => {
            grants.retain(|grant| match &grant.kind {
                Kind::Text { value, .. } => names.contains(value.as_str()),
                _ => true,
            });
            !grants.is_empty()
        }
        _ => true,
    }
}

/// The names of all services, with those that `<<` merges.
fn service_names(services: &[(String, Node)]) -> Vec<&str> {
    let mut names = Vec::new();
    for (name, node) in services {
        match &node.kind {
            _ if name != "<<" => names.push(name.as_str()),
            Kind::Map(entries) => names.extend(service_names(entries)),
            Kind::List(nodes) => {
                let maps = nodes.iter().filter_map(|node| match &node.kind {
                    Kind::Map(entries) => Some(entries),
                    _ => None,
                });
                names.extend(maps.flat_map(|entries| service_names(entries)));
            }
            _ => {}
        }
    }
    names
}

/// Removes the other entries of a mapping, or of each mapping of a list.
fn retain(node: &mut Node, names: &BTreeSet<String>) {
    match &mut node.kind {
        Kind::Map(entries) => entries.retain(|(name, _)| names.contains(name)),
        Kind::List(nodes) => nodes.iter_mut().for_each(|node| retain(node, names)),
        _ => {}
    }
}

/// The names that stand after a `use`.
fn collect_used(node: &Node, into: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Map(entries) => {
            for (key, entry) in entries {
                match &entry.kind {
                    Kind::Text { value, .. } if key == "use" => drop(into.insert(value.to_string())),
                    _ => collect_used(entry, into),
                }
            }
        }
        Kind::List(nodes) => nodes.iter().for_each(|node| collect_used(node, into)),
        _ => {}
    }
}

fn entries<'n>(root: &'n mut Node, section: &str) -> Option<&'n mut Vec<(String, Node)>> {
    let Kind::Map(top) = &mut root.kind else { return None };
    match &mut top.iter_mut().find(|(key, _)| key == section)?.1.kind {
        Kind::Map(entries) => Some(entries),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Config;
    use crate::credential::READERS;
    use crate::secret::SecretCache;

    fn load(text: &str, names: &[&str]) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let names = Selection::Named(names.iter().map(ToString::to_string).collect());
        Config::load_selected(file.path(), &names, &SecretCache::default(), READERS)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn services_that_are_not_selected_are_not_read() {
        let text = "
credentials:
  shared: { type: bearer, token: { file: ./src/config/tests/fixtures/secret } }
  other: { type: bearer, token: { exec: [touch, /must-not-run] } }
services:
  a: { upstream: https://a.example, auth: { use: shared } }
  b: { upstream: https://b.example, auth: { use: other } }
  c: { upstream: https://c.example, auth: { type: bearer, token: { file: /nonexistent } } }
  d: { upstream: '${UNSET_VARIABLE}', nonsense: 1 }
";
        let text = text.replace("{ file: ./src/config/tests/fixtures/secret }", "0123456789abcdef");
        let config = load(&text, &["a"]).unwrap();
        assert_eq!(config.services.iter().map(|service| &service.name).collect::<Vec<_>>(), ["a"]);
        assert!(config.warnings.iter().all(|warning| !warning.message.contains("no service uses")));
        assert!(!std::path::Path::new("/must-not-run").exists());
        assert!(load(&text, &["c"]).unwrap_err().contains("services.c.auth.token"));
        let error = load(&text, &["a", "none"]).unwrap_err();
        assert!(error.contains("no service `none`. The file has: a, b, c, d"), "{error}");
    }

    #[test]
    fn services_of_a_merge_key_are_selected_by_name_too() {
        let text = "
services:
  <<:
    a: { upstream: https://a.example, auth: &auth { type: bearer, token: 0123456789abcdef } }
    b: { upstream: https://b.example, auth: { type: bearer, token: { file: /nonexistent } } }
  c: { upstream: https://c.example, auth: { <<: *auth } }
  d: { upstream: https://d.example, auth: { type: bearer, token: { file: /nonexistent } } }
";
        let names =
            |names: &[&str]| load(text, names).unwrap().services.into_iter().map(|service| service.name);
        assert_eq!(names(&["a", "c"]).collect::<Vec<_>>(), ["c", "a"]);
        assert_eq!(names(&["c"]).collect::<Vec<_>>(), ["c"]);
    }
}
