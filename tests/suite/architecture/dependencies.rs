//! The policy of deny.toml for dependencies, in every run of the tests. `make audit` has cargo-deny check the same, and more.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde::Deserialize;

use super::files::{Lock, read};

/// deny.toml, as far as it is checked here.
#[derive(Deserialize)]
struct Policy {
    graph: Graph,
    licenses: Licenses,
    bans: Bans,
    sources: Sources,
}

#[derive(Deserialize)]
struct Graph {
    targets: Vec<String>,
}

#[derive(Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
    exceptions: Vec<Exception>,
}

#[derive(Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Bans {
    deny: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    #[serde(default)]
    wrappers: BTreeSet<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Sources {
    allow_registry: BTreeSet<String>,
}

/// The manifest of the program, as far as it is checked here.
#[derive(Deserialize)]
struct Manifest {
    dependencies: BTreeMap<String, toml::Value>,
}

/// What cargo knows of the packages for one target.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize, Clone)]
struct Package {
    id: String,
    name: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

fn metadata(target: &str) -> Metadata {
    let arguments = ["metadata", "--format-version", "1", "--locked", "--filter-platform", target];
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output =
        Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How a package of the graph breaks the policy.
fn broken(policy: &Policy, metadata: &Metadata) -> Vec<String> {
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let mut broken = Vec::new();
    for package in metadata.resolve.nodes.iter().map(|node| packages[&node.id]) {
        let name = &package.name;
        // A folder of this repository, such as vendor/, has no source.
        if let Some(source) = &package.source {
            let registry = source.strip_prefix("registry+").unwrap_or(source);
            if !policy.sources.allow_registry.contains(registry) {
                broken.push(format!("{name} comes from {source}"));
            }
        }
        let exception = policy.licenses.exceptions.iter().find(|exception| exception.name == *name);
        let allowed = |licence: &str| {
            policy.licenses.allow.contains(licence) || exception.is_some_and(|of| of.allow.contains(licence))
        };
        if package.source.is_some() && !is_licensed(package.license.as_deref(), allowed) {
            broken.push(format!("{name} has the licence {:?}", package.license));
        }
        let Some(ban) = policy.bans.deny.iter().find(|ban| ban.name == *name) else { continue };
        for node in metadata.resolve.nodes.iter().filter(|node| node.dependencies.contains(&package.id)) {
            let parent = &packages[&node.id].name;
            if !ban.wrappers.contains(parent) {
                broken.push(format!("{parent} depends on {name}, which is banned: {}", ban.reason));
            }
        }
    }
    broken
}

/// Whether the expression of a package is satisfied by licences that are allowed.
fn is_licensed(expression: Option<&str>, is_allowed: impl Fn(&str) -> bool) -> bool {
    let mode = spdx::ParseMode::LAX;
    let expression = expression.and_then(|text| spdx::Expression::parse_mode(text, mode).ok());
    expression.is_some_and(|expression| expression.evaluate(|licence| is_allowed(&licence.to_string())))
}

#[test]
fn dependencies_keep_the_policy_of_deny_toml() {
    let policy: Policy = read("deny.toml");
    assert!(!policy.graph.targets.is_empty());
    for target in &policy.graph.targets {
        let metadata = metadata(target);
        assert!(metadata.resolve.nodes.len() > 100, "{target}: {}", metadata.resolve.nodes.len());
        let broken = broken(&policy, &metadata);
        assert!(broken.is_empty(), "{target}: {broken:#?}");
    }
}

#[test]
fn dependency_that_breaks_the_policy_is_found() {
    let policy: Policy = read("deny.toml");
    let package = |name: &str, license: Option<&str>, source: Option<&str>| Package {
        id: format!("{name} 1"),
        name: name.into(),
        license: license.map(Into::into),
        source: source.map(Into::into),
    };
    let registry = "registry+https://github.com/rust-lang/crates.io-index";
    let node = |name: &str, of: &[&str]| Node {
        id: format!("{name} 1"),
        dependencies: of.iter().map(|name| format!("{name} 1")).collect(),
    };
    let metadata = Metadata {
        packages: vec![
            package("good", Some("MIT OR GPL-3.0"), Some(registry)),
            package("copyleft", Some("MIT AND GPL-3.0"), Some(registry)),
            package("silent", None, Some(registry)),
            package("git", Some("MIT"), Some("git+https://github.com/a/b#1")),
            package("aws-lc-rs", Some("ISC"), Some(registry)),
            package("pingora-core", Some("Apache-2.0"), Some(registry)),
            package("serde_yaml", Some("MIT/Apache-2.0"), Some(registry)),
            package("local", None, None),
        ],
        resolve: Resolve {
            nodes: vec![
                node("good", &["aws-lc-rs", "serde_yaml"]),
                node("copyleft", &[]),
                node("silent", &[]),
                node("git", &[]),
                node("aws-lc-rs", &[]),
                node("pingora-core", &["serde_yaml"]),
                node("serde_yaml", &[]),
                node("local", &[]),
            ],
        },
    };
    let broken = broken(&policy, &metadata);
    let named: Vec<_> = broken.iter().map(|text| text.split(' ').next().unwrap()).collect();
    assert_eq!(named, ["copyleft", "silent", "git", "good", "good"], "{broken:#?}");
}

/// What is fuzzed is what is built: the same dependencies, in the same versions.
#[test]
fn fuzz_targets_have_the_dependencies_of_the_program() {
    let (program, fuzz): (Lock, Lock) = (read("Cargo.lock"), read("fuzz/Cargo.lock"));
    let versions = |lock: &Lock| {
        let packages = lock.package.iter().map(|package| format!("{} {}", package.name, package.version));
        packages.collect::<BTreeSet<_>>()
    };
    let own = ["arbitrary", "libfuzzer-sys", "sidekey-fuzz"];
    let (locked, mut others) = (versions(&program), versions(&fuzz));
    others.retain(|package| !locked.contains(package) && !own.contains(&package.split(' ').next().unwrap()));
    assert!(fuzz.package.len() > 300 && others.is_empty(), "{} packages, {others:?}", fuzz.package.len());

    let manifest: Manifest = read("Cargo.toml");
    let declared = manifest
        .dependencies
        .iter()
        .map(|(name, value)| value.get("package").and_then(toml::Value::as_str).unwrap_or(name).to_owned());
    let sidekey = fuzz.package.iter().find(|package| package.name == "sidekey").unwrap();
    let names = sidekey.dependencies.iter().map(|name| name.split(' ').next().unwrap().to_owned());
    assert_eq!(
        names.collect::<BTreeSet<_>>(),
        declared.collect(),
        "cargo metadata --manifest-path fuzz/Cargo.toml"
    );
}
