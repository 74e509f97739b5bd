//! Paths of secrets, and where they are mounted.

use std::fmt;

/// A path of a store, as the API or the command line of the store has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct SecretPath {
    pub(in crate::credential) path: String,
    /// The version of the secret (key-value engine of version 2); the latest without it.
    pub(in crate::credential) version: Option<u64>,
}

impl fmt::Display for SecretPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.version.map_or(Ok(()), |version| write!(f, "?version={version}"))
    }
}

/// Parses the path of a secret or of a mount.
pub(in crate::credential) fn path(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| !c.is_control() && !matches!(c, '?' | '#' | '\\' | '%');
    if text.starts_with("v1/") {
        return Err("the path without `v1/`".into());
    }
    if !text.chars().all(is_allowed) || text.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("a path such as `secret/crm`, without a slash at its start or end".into());
    }
    Ok(text.to_owned())
}

/// What is known of mounts.
#[derive(Default)]
pub(super) struct Mounts(Vec<Mount>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// With a slash at its end.
    pub(super) path: String,
    /// Whether it is the key-value engine of version 2.
    pub(super) is_versioned: bool,
}

impl Mounts {
    /// The mount that a path is below, if it is known.
    pub(super) fn of(&self, path: &str) -> Option<Mount> {
        let longest = self.0.iter().filter(|mount| path.starts_with(&mount.path));
        longest.max_by_key(|mount| mount.path.len()).cloned()
    }

    /// Adds a mount.
    pub(super) fn add(&mut self, mount: Mount) {
        self.0.push(mount);
    }

    /// Something may have been mounted elsewhere.
    pub(super) fn forget(&mut self, path: &str) {
        self.0.retain(|mount| !path.starts_with(&mount.path));
    }
}

impl Mount {
    /// The path of the API for a path of the command line. One of the API stays as it is.
    pub(super) fn api_path(&self, path: &str) -> String {
        let rest = path.strip_prefix(&self.path).unwrap_or_default();
        if !self.is_versioned || rest.starts_with("data/") {
            return path.to_owned();
        }
        format!("{}data/{rest}", self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_the_command_line_becomes_one_of_the_api() {
        let mount = |path: &str, is_versioned| Mount { path: path.into(), is_versioned };
        let mounts = Mounts(vec![mount("secret/", true), mount("secret/old/", false)]);
        let api = |path: &str| mounts.of(path).map(|mount| mount.api_path(path));
        assert_eq!(api("secret/crm").as_deref(), Some("secret/data/crm"));
        assert_eq!(api("secret/data/crm").as_deref(), Some("secret/data/crm"));
        assert_eq!(api("secret/old/crm").as_deref(), Some("secret/old/crm"));
        assert_eq!(api("secrets/crm"), None);
    }

    #[test]
    fn path_has_segments_and_no_prefix_of_the_api() {
        assert_eq!(path("secret/a b/c").as_deref(), Ok("secret/a b/c"));
        for wrong in
            ["", "/secret/a", "secret/", "a//b", "a/../b", "v1/secret/a", "a?b", "a#b", "a%2fb", "a\0b"]
        {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }
}
