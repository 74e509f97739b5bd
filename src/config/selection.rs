//! Reads some of the services of a configuration. The others are not looked at: their secrets are not fetched, and an error in one of them is
//! not reported.

use std::collections::BTreeSet;

use super::reader::report::sanitize;
use super::reader::suggest::{ask, list};
use super::reader::tree::{Kind, Node};
use super::source::Included;

/// The beginning of the error about a service that no file has.
pub(super) const UNKNOWN: &str = "no service `";

/// Which services are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// Every service.
    All,
    /// These services, and of `credentials` those that they use.
    Named(BTreeSet<String>),
}

impl Selection {
    /// Removes from the main file and the included ones what is not selected. Their merge keys are resolved. The error says which
    /// service no file has.
    pub(super) fn apply(&self, main: &mut Node, included: &mut Vec<Included>) -> Result<(), String> {
        let Self::Named(names) = self else { return Ok(()) };
        let roots = included.iter_mut().filter_map(|file| file.root.as_mut().ok());
        let mut files: Vec<_> =
            std::iter::once(&mut *main).chain(roots).filter_map(|root| entries(root, "services")).collect();
        let known: Vec<_> =
            files.iter().flat_map(|services| services.iter().map(|(name, _)| name.as_str())).collect();
        let unknown = names.iter().find(|name| !known.contains(&name.as_str()));
        let message = unknown.map(|unknown| {
            let question = ask(unknown, known.iter().copied());
            let services = list(known.iter().copied());
            format!("{UNKNOWN}{}`{question} The configuration has: {services}", sanitize(unknown))
        });
        let mut used = BTreeSet::new();
        for services in &mut files {
            services.retain(|(name, _)| names.contains(name));
            for (_, service) in services.iter() {
                collect_used(service, &mut used);
            }
        }
        let is_readable = included.iter().all(|file| file.root.is_ok());
        if let Some(message) = message.filter(|_| is_readable) {
            return Err(message);
        }
        // A file that cannot be read may have one of them. The error about it is reported.
        included.retain_mut(|file| match &mut file.root {
            Ok(root) => entries(root, "services").is_some_and(|services| !services.is_empty()),
            Err(_) => true,
        });
        if let Some(roles) = entries(main, "roles") {
            roles.retain_mut(|(_, role)| retain_granted(role, names));
            if roles.is_empty()
                && let Kind::Map(top) = &mut main.kind
            {
                top.retain(|(key, _)| key != "roles");
            }
        }
        if let Some(credentials) = entries(main, "credentials") {
            credentials.retain(|(name, _)| used.contains(name));
            if credentials.is_empty()
                && let Kind::Map(top) = &mut main.kind
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
            grants.retain(|(name, _)| names.contains(name));
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
        assert!(error.contains("no service `none`. The configuration has: a, b, c, d"), "{error}");
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
