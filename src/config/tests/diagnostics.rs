//! The errors of invalid files, one page for each subject: `snapshots/invalid_*.snap` list every file with
//! its errors.

use std::ffi::OsString;
use std::fmt::Write;

use super::invalid::{ALL, all, large};
use crate::config::*;

fn environment(name: &str) -> Option<OsString> {
    match name {
        "EMPTY" => Some("".into()),
        "TWO_LINES" => Some("CANARY\nX-Injected: CANARY".into()),
        "SECRET" => Some("CANARY".into()),
        "COLON" => Some("CANARY:x".into()),
        "NOT_A_URL" => Some("ftp://CANARY".into()),
        _ => None,
    }
}

fn parse_error(text: &str) -> ConfigError {
    match Config::parse_with(text, "services.yaml", &environment, crate::credential::READERS) {
        Err(error) => error,
        Ok(_) => panic!("this file should be invalid:\n{text}"),
    }
}

#[test]
fn invalid_files_match_their_snapshots() {
    for (subject, cases) in ALL {
        let mut page = String::new();
        for (name, text) in *cases {
            let text = text.strip_prefix('\n').unwrap_or(text);
            writeln!(page, "### {name}\n{}\n", parse_error(text)).unwrap();
            for (index, line) in text.lines().enumerate() {
                writeln!(page, "{:>4} | {line}", index + 1).unwrap();
            }
            writeln!(page).unwrap();
        }
        snapshot(subject, &page);
    }
    let mut page = String::new();
    for (name, text) in large() {
        writeln!(page, "### {name}\n{}\n\n   ({} bytes)\n", parse_error(&text), text.len()).unwrap();
    }
    snapshot("large", &page);
}

fn snapshot(subject: &str, page: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(format!("invalid_{subject}"), page);
    });
}

#[test]
fn error_messages_contain_no_secret() {
    for (name, text) in all() {
        let error = parse_error(text.strip_prefix('\n').unwrap_or(text));
        assert!(!format!("{error}{error:?}").contains("CANARY"), "{name}: {error}");
    }
}

#[test]
fn invalid_cases_have_unique_names() {
    let names: std::collections::HashSet<_> = all().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all().count());
    assert!(all().count() >= 50);
}

#[test]
fn errors_are_reported_at_once_sorted_by_line() {
    let (_, text) = all().find(|(name, _)| *name == "many errors at once").unwrap();
    let error = parse_error(text);
    let lines: Vec<_> = error.diagnostics().iter().map(|diagnostic| diagnostic.line).collect();
    assert!(lines.len() >= 8 && lines.is_sorted(), "{error}");
    assert!(error.diagnostics().iter().all(|diagnostic| diagnostic.column > 0));
}

#[test]
fn unreadable_file_error_says_why() {
    let load = |path: &std::path::Path| {
        Config::load(path, crate::credential::READERS).unwrap_err().diagnostics()[0].message.clone()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("services.yaml");
    assert_eq!(load(&file), "cannot read the file: No such file or directory");
    assert_eq!(load(folder.path()), "cannot read the file: it is a directory, not a regular file");
    std::fs::write(&file, b"services:\n  \xff\xfe: {}\n").unwrap();
    assert_eq!(load(&file), "not UTF-8 text: the first invalid byte is on line 2");
    std::fs::write(&file, vec![b'#'; 1024 * 1024 + 1]).unwrap();
    assert_eq!(load(&file), "the file is larger than 1 MiB, the limit for a configuration");
}
