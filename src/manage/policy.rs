//! What a change through the admin API may refer to. Whoever has the admin token chooses the upstream of a service, and thus who gets
//! its secret: a new reference leads only to what services use already, or to the secrets of the managed folder.

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::Value;

use super::folder::ManagedFolder;
use super::references;
use super::references::{Found, Reference};
use crate::config::edit::ServicesText;
use crate::config::{Config, ConfigError, read_services_file};

/// What a change may refer to.
pub(super) struct Policy<'f> {
    folder: &'f ManagedFolder,
    /// What services of the configuration use.
    used: BTreeSet<Reference>,
}

/// A reference that a change may not have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The path of the key in the service.
    pub(super) key: String,
    /// Why, and what to do.
    pub(super) message: String,
}

impl<'f> Policy<'f> {
    /// The policy for a configuration, by its main file.
    pub(super) fn of(main: &Path, folder: &'f ManagedFolder) -> Result<Self, ConfigError> {
        let mut used = BTreeSet::new();
        for path in Config::file_paths(main)? {
            // A file that cannot be read uses nothing.
            if let Ok(text) = read_services_file(&path)
                && let Ok(services) = ServicesText::parse(&text)
            {
                used.append(&mut references::of_file(services.value()));
            }
        }
        Ok(Self { folder, used })
    }

    /// What a service may not refer to. `old` is the service as it was.
    pub(super) fn violations(&self, service: &Value, old: Option<&Value>) -> Vec<Violation> {
        let before: BTreeSet<_> =
            old.map(references::of_service).into_iter().flatten().map(|(_, reference)| reference).collect();
        let is_new = |(_, reference): &Found| !before.contains(reference) && !self.used.contains(reference);
        let new = references::of_service(service).into_iter().filter(is_new);
        new.filter_map(|(key, reference)| Some(Violation { key, message: self.why_not(&reference)? }))
            .collect()
    }

    fn why_not(&self, reference: &Reference) -> Option<String> {
        Some(match reference {
            Reference::File(path) if self.folder.has_secret(Path::new(path)) => return None,
            Reference::File(_) => format!(
                "only a file in {} can be chosen here, or one that a service uses already; put it there, or use `sidekey add`",
                self.folder.secrets().display()
            ),
            Reference::Variable(_) => {
                "only a variable of the environment that a service uses already can be chosen here; use `sidekey add`".into()
            }
            Reference::Interpolated(..) => {
                "only a variable of the environment that a service has at the same key can be written into a value here; use `sidekey edit`"
                    .into()
            }
            Reference::Command(_) => {
                "a command cannot be written here, because the process would run it; use `sidekey add` or `sidekey edit`".into()
            }
            Reference::Stored(_) => {
                "only a secret of a store that a service uses already can be chosen here, written as it is there; use `sidekey add` or \
                 `sidekey edit`"
                    .into()
            }
            Reference::Elsewhere(_) => {
                "`from` cannot be written here, because it uses what the caller or the machine has; use `sidekey edit`".into()
            }
            Reference::Platform(_) => {
                "a credential of this kind cannot be written here, because it is what the machine has; use `sidekey edit`".into()
            }
            Reference::Listen(_) => "an address to listen on cannot be written here; use `sidekey edit`".into(),
        })
    }
}
