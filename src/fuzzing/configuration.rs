//! The property of configuration files: any text is a configuration or has errors, and no error or warning shows a value of
//! the file.

use std::ffi::OsString;

use crate::config::reader::location::FileId;
use crate::config::reader::tree::{Kind, Node};
use crate::config::reader::{document, sections};
use crate::config::{Config, ConfigError};
use crate::credential::READERS;

/// The secret in the seeds, and the value of the environment variable `SECRET`.
const CANARY: &str = "canary-hunter2";
/// Longest path of an error: the deepest one, in keys of the longest kind that is shown.
const MAX_PATH: usize = 16 * 1024;
/// Longest text of all errors.
const MAX_TEXT: usize = 1024 * 1024;

/// Checks the property on a text.
pub fn configuration(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    // Commands are not run in a build of `cargo fuzz`; a file may be read.
    let parse = || Config::parse_with(text, "fuzzing.yaml", &environment, READERS);
    let may_show = document::parse(text, FileId::MAIN, "").is_ok_and(|root| may_show(&root, "", false));
    let shown = match parse() {
        Ok(config) => {
            check_config(&config, text);
            let again = parse().unwrap_or_else(|error| panic!("errors at the second time: {error}"));
            assert!(again.services == config.services, "another configuration at the second time");
            format!("{:?}", config.warnings)
        }
        Err(error) => {
            check_error(&error, text);
            format!("{error}{error:?}")
        }
    };
    assert!(may_show || !shown.contains(CANARY), "a value is shown: {shown}");
}

fn environment(name: &str) -> Option<OsString> {
    match name {
        "SECRET" => Some(CANARY.into()),
        "EMPTY" => Some("".into()),
        "NUMBER" => Some("8443".into()),
        _ => name.len().is_multiple_of(2).then(|| "value".into()),
    }
}

/// Whether a message may show the canary: keys are shown outside of sections with secrets, and so are paths.
fn may_show(node: &Node, path: &str, is_private: bool) -> bool {
    match &node.kind {
        Kind::Text { value, .. } => {
            // The beginning may come from a variable.
            value.starts_with(['/', '.', '$']) && (value.contains(CANARY) || value.contains('$'))
        }
        Kind::List(entries) => entries.iter().any(|entry| may_show(entry, path, is_private)),
        Kind::Map(entries) => entries.iter().any(|(key, entry)| {
            let is_part_of_secret = is_private && matches!(entry.kind, Kind::Null);
            let is_private = is_private || sections::holds_secret(path, key);
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            key.contains(CANARY) && !is_part_of_secret || may_show(entry, &below, is_private)
        }),
        Kind::Null | Kind::Invalid | Kind::Bool(_) | Kind::Number(_) | Kind::Fraction(_) => false,
    }
}

fn check_config(config: &Config, text: &str) {
    assert!(!config.services.is_empty() && !config.listen.is_empty(), "nothing to serve");
    assert!((1..=256).contains(&config.threads) && config.max_connections > 0);
    // Whatever the variable is used for, it is not printed if it can only be a secret.
    if !text.contains(CANARY) && !text.contains("${") {
        assert!(!format!("{config:?}").contains(CANARY), "a secret is printed");
    }
}

fn check_error(error: &ConfigError, text: &str) {
    let diagnostics = error.diagnostics();
    assert!(!diagnostics.is_empty(), "an error without a message");
    assert!(diagnostics.is_sorted_by_key(|diagnostic| (diagnostic.line, diagnostic.column)));
    // The line breaks of YAML 1.1, which the parser counts.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
    for diagnostic in diagnostics {
        assert!(diagnostic.line <= lines + 1, "line {} of {lines}", diagnostic.line);
        assert!(!diagnostic.message.is_empty() && diagnostic.path.len() <= MAX_PATH);
        assert!(!diagnostic.path.chars().any(char::is_control), "a control character in a path");
    }
    assert!(error.to_string().len() <= MAX_TEXT, "errors without end");
}
