//! `admin.manage`: the folder in which the admin API keeps the services that it adds, one file for each.

use std::path::Path;

use super::include;
use super::listen::admin::Admin;
use super::reader::report::Report;
use super::reader::tree::{Kind, Node};
use super::reader::value::Value;
use super::source::member;
use crate::config::reader::table::Format;
use crate::secret::ensure_safe_folder;

const PATH: &str = "admin.manage";

/// The name of a new file. No pattern of `include` that is meant for some files has it.
const ANY_NEW_FILE: &str = "0-any-new-service.yaml";

/// Makes the folder relative to that of the main file, and checks that `include` leads to new files in it. `root` is the main file.
pub(super) fn settle(admin: &mut Admin, root: &Node, folder: &Path, report: &Report<'_>) {
    let (Some(manage), Some(node)) = (&mut admin.manage, node(root)) else { return };
    *manage = folder.join(&*manage);
    let value = Value::part(node, PATH, report, Format::Text, &[]);
    if !manage.is_dir() {
        value.error("no such folder; it must be there when Sidekey starts, so that it can be made writable");
        return;
    }
    let new_file = manage.join(ANY_NEW_FILE);
    if !includes(root).any(|path| include::would_have(&folder.join(path), &new_file)) {
        value.error("`include` does not lead to new files in this folder; add the folder to `include`");
    }
    if let Err(error) = ensure_safe_folder(manage) {
        value.warn(format!("nothing will be written there: {error}"));
    }
    value.warn_of_folders_to(manage);
}

/// The value of `admin.manage`.
pub(super) fn node(root: &Node) -> Option<&Node> {
    member(member(root, "admin")?, "manage")
}

fn includes(root: &Node) -> impl Iterator<Item = &str> {
    let nodes = match member(root, "include").map(|node| (node, &node.kind)) {
        Some((_, Kind::List(nodes))) => nodes.as_slice(),
        Some((node, _)) => std::slice::from_ref(node),
        None => &[],
    };
    nodes.iter().filter_map(|node| match &node.kind {
        Kind::Text { value, .. } => Some(value.as_str()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use crate::config::{Config, ConfigError};
    use crate::credential::READERS;

    /// A configuration in a folder of its own, with a folder `managed`.
    fn load(include: &str, manage: &str, mode: u32) -> (PathBuf, Result<Config, ConfigError>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("managed")).unwrap();
        fs::set_permissions(dir.path().join("managed"), fs::Permissions::from_mode(mode)).unwrap();
        let text = format!(
            "admin: {{ token: 0123456789abcdef, manage: {manage} }}\ninclude: {include}\n\
             services: {{ a: {{ upstream: https://a.example, auth: {{ type: bearer, token: {{ env: PATH }} }} }} }}\n"
        );
        let file = dir.path().join("services.yaml");
        fs::write(&file, text).unwrap();
        (dir.path().join("managed"), Config::load(&file, READERS))
    }

    #[test]
    fn managed_folder_is_relative_to_the_main_file() {
        for include in ["managed", "[managed/*.yaml]", "'managed/*'"] {
            let (folder, config) = load(include, "managed", 0o700);
            assert_eq!(config.unwrap().admin.manage, Some(folder), "{include}");
        }
    }

    #[test]
    fn managed_folder_must_be_there_and_included() {
        for (include, manage, expected) in [
            ("managed", "none", ":1: admin.manage: no such folder"),
            ("'managed/team-*.yaml'", "managed", ":1: admin.manage: `include` does not lead to new files"),
            ("'*.yaml'", "managed", ":1: admin.manage: `include` does not lead to new files"),
            ("managed", "services.yaml", ":1: admin.manage: no such folder"),
        ] {
            let error = load(include, manage, 0o700).1.unwrap_err().to_string();
            assert!(error.contains(expected), "{include} {manage}: {error}");
        }
    }

    #[test]
    fn managed_folder_that_others_can_write_to_causes_a_warning() {
        let warned = |mode| {
            let config = load("managed", "managed", mode).1.unwrap();
            config
                .warnings
                .iter()
                .any(|warning| warning.message.starts_with("nothing will be written there: other users"))
        };
        assert!(warned(0o777) && !warned(0o700));
    }
}
