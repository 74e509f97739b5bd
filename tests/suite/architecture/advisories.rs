//! Cargo.lock beside the advisories of RustSec's database, as far as tests/data/advisories.toml has them. `make audit` asks the
//! database itself.

use std::collections::{BTreeMap, BTreeSet};

use semver::{Version, VersionReq};
use serde::Deserialize;

use super::files::{Lock, Locked, read};

#[derive(Deserialize)]
struct Database {
    advisory: Vec<Advisory>,
}

/// A version that is neither patched nor unaffected is affected.
#[derive(Deserialize)]
struct Advisory {
    id: String,
    package: String,
    #[serde(default)]
    patched: Vec<VersionReq>,
    #[serde(default)]
    unaffected: Vec<VersionReq>,
}

#[derive(Deserialize)]
struct Policy {
    advisories: Ignored,
}

#[derive(Deserialize)]
struct Ignored {
    ignore: Vec<IgnoredAdvisory>,
}

#[derive(Deserialize)]
struct IgnoredAdvisory {
    id: String,
    reason: String,
}

impl Advisory {
    fn affects(&self, version: &Version) -> bool {
        !self.patched.iter().chain(&self.unaffected).any(|range| range.matches(version))
    }
}

/// The advisories that hold for a package of a lock file: identifier, and package with version.
fn found(database: &Database, lock: &Lock) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for package in &lock.package {
        let about = database.advisory.iter().filter(|advisory| advisory.package == package.name);
        for advisory in about.filter(|advisory| advisory.affects(&package.version)) {
            found.insert(advisory.id.clone(), format!("{} {}", package.name, package.version));
        }
    }
    found
}

#[test]
fn dependencies_have_no_advisory_but_those_that_deny_toml_names() {
    let database: Database = read("tests/data/advisories.toml");
    assert!(database.advisory.len() > 700, "{}", database.advisory.len());
    let lock: Lock = read("Cargo.lock");
    assert!(lock.package.len() > 300, "{}", lock.package.len());
    let ignored = read::<Policy>("deny.toml").advisories.ignore;
    assert!(ignored.iter().all(|advisory| !advisory.reason.is_empty()));
    let ignored: BTreeSet<_> = ignored.into_iter().map(|advisory| advisory.id).collect();
    let found = found(&database, &lock);
    // Both ways: an exception that is not needed any more is removed.
    assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), ignored, "{found:#?}");
}

#[test]
fn dependency_with_an_advisory_is_found() {
    let database: Database = read("tests/data/advisories.toml");
    let affected = |name: &str, version: &str| {
        let package = vec![Locked::new(name, Version::parse(version).unwrap())];
        found(&database, &Lock { package }).into_keys().collect::<Vec<_>>()
    };
    // Patched in two lines of versions: >= 0.3.26, < 0.4.0, and >= 0.4.4. An earlier advisory has other ranges.
    assert_eq!(affected("h2", "0.4.1"), ["RUSTSEC-2024-0003", "RUSTSEC-2024-0332"]);
    assert_eq!(affected("h2", "0.4.3"), ["RUSTSEC-2024-0332"]);
    assert_eq!(affected("h2", "0.3.26"), [""; 0]);
    assert_eq!(affected("h2", "0.4.4"), [""; 0]);
    assert_eq!(affected("no-such-crate", "1.0.0"), [""; 0]);
}
