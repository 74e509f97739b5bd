//! Files in TOML that the rules read.

use std::path::Path;

use semver::Version;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A lock file of Cargo.
#[derive(Deserialize)]
pub struct Lock {
    pub package: Vec<Locked>,
}

/// A package of a lock file.
#[derive(Deserialize)]
pub struct Locked {
    pub name: String,
    pub version: Version,
    /// Names, and the version behind the name if the file has several.
    #[serde(default)]
    pub dependencies: Vec<String>,
}

impl Locked {
    /// A package without dependencies.
    pub fn new(name: &str, version: Version) -> Self {
        Self { name: name.into(), version, dependencies: Vec::new() }
    }
}

/// Reads a file of the repository.
pub fn read<T: DeserializeOwned>(file: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{file}: {error}"))
}
