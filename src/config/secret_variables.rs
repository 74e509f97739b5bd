//! Which environment variables hold secrets, by what a file says: for a program that must not have them.
//!
//! Every file of the configuration counts, with the services that are not selected and with sections that have an error. Nothing is fetched.

use std::collections::BTreeSet;
use std::path::Path;

use super::reader::document;
use super::reader::error::ConfigError;
use super::reader::interpolate;
use super::reader::report::{Report, child};
use super::reader::sections;
use super::reader::tree::{Kind, Node};
use super::source;
use crate::secret::SecretCache;

/// The key of a secret that is read from a variable: `{ env: NAME }`.
const VARIABLE: &str = "env";

/// Variables that every program needs. They occur in paths of secrets, such as `{ file: ${HOME}/token }`, and are no secrets.
const ORDINARY: [&str; 12] = [
    "HOME",
    "HOSTNAME",
    "LANG",
    "LOGNAME",
    "PATH",
    "PWD",
    "SHELL",
    "TERM",
    "TMPDIR",
    "USER",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
];

/// The names of the variables from which the configuration reads secrets: `{ env: NAME }`, and `${NAME}` in a section that holds
/// a secret or in a URL with a password.
pub fn secret_variables(path: &Path) -> Result<BTreeSet<String>, ConfigError> {
    let (environment, secrets) = (|name: &str| std::env::var_os(name), SecretCache::with_placeholders());
    let report = Report::new(&environment, &secrets);
    let main = parse(path, &report)?;
    let mut found = BTreeSet::new();
    collect(&main, "", "", false, &mut found);
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut resolved = main;
    source::resolve_main(&mut resolved, &report);
    for file in source::included_files(&resolved, folder, Some(path), None, &report) {
        collect(&parse(&file, &report)?, "", "", false, &mut found);
    }
    Ok(found)
}

fn parse(path: &Path, report: &Report<'_>) -> Result<Node, ConfigError> {
    let name = path.display().to_string();
    let text = document::read_file(path)?;
    let file = report.add_file(&name);
    document::parse(&text, file, &name).map_err(|diagnostics| ConfigError::new(&name, diagnostics))
}

fn collect(node: &Node, path: &str, key: &str, is_secret: bool, into: &mut BTreeSet<String>) {
    match &node.kind {
        Kind::Text { value, .. } => {
            if key == VARIABLE {
                into.insert(value.to_string());
            }
            // Of a path, the file is secret and not the name.
            let is_path = key == "file" || key.ends_with("_file") || key == "dir";
            let has_password = value.contains("://") && value.contains('@');
            if (is_secret && !is_path) || has_password {
                let names = interpolate::names(value).into_iter().map(str::to_owned);
                into.extend(names.filter(|name| !ORDINARY.contains(&name.as_str())));
            }
        }
        Kind::List(nodes) => nodes.iter().for_each(|node| collect(node, path, key, is_secret, into)),
        Kind::Map(entries) => {
            for (key, entry) in entries {
                // What is merged belongs to the section around it. An anchor may be anywhere, so that what is defined outside
                // of a section that holds a secret is found where it is used.
                let (path, is_secret) = match key.as_str() {
                    "<<" => (path.to_owned(), is_secret),
                    _ => (child(path, key), is_secret || sections::holds_secret(path, key)),
                };
                collect(entry, &path, key, is_secret, into);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn found(text: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        secret_variables(file.path()).unwrap().into_iter().collect()
    }

    #[test]
    fn variables_that_hold_secrets_are_found_wherever_they_are() {
        let text = "
x-auth: &auth { type: bearer, token: '${MERGED}' }
admin: { listen: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }
state: { dir: '${STATE_DIR}', key: { env: STATE_KEY } }
credentials: { c: { type: basic, username: me, password: 'a${PART:-x}b$${NOT}' } }
services:
  a: { upstream: 'https://${REGION}.example', auth: { <<: *auth } }
  b: { upstream: https://b.example, auth: { type: bearer, token: { file: '${HOME}/${DIR}/b' } } }
  c: { upstream: https://c.example, auth: { type: bearer, token: { exec: ['${HOME}/bin/get', '${ARGUMENT}'] } } }
  d: { upstream: https://d.example, proxy: 'http://me:${PROXY_PASSWORD}@proxy.example', nonsense: [1] }
";
        let names = ["ADMIN_TOKEN", "ARGUMENT", "MERGED", "PART", "PROXY_PASSWORD", "STATE_KEY"];
        assert_eq!(found(text), names);
    }

    #[test]
    fn ordinary_variables_are_secrets_only_by_name() {
        assert_eq!(found("services: { a: { auth: { token: { env: HOME }, user: '${USER}' } } }"), ["HOME"]);
    }
}
