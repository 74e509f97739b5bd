//! docs/SECURITY.md names a test for each attack. Each of them exists.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).into()
}

/// The rows of tables whose last column is `test`: number of the line, and the last cell.
fn rows(page: &str) -> Vec<(usize, &str)> {
    let mut is_of_tests = false;
    let mut found = Vec::new();
    for (line, number) in page.lines().zip(1..) {
        let line = line.trim();
        let Some(row) = line.strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            is_of_tests = false;
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default().trim();
        if last == "test" {
            is_of_tests = true;
        } else if is_of_tests && !last.trim_matches('-').is_empty() {
            found.push((number, last));
        }
    }
    found
}

/// The names between backticks.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The names of the functions of a folder, with those below it.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn security_page_names_tests_that_exist() {
    let page = std::fs::read_to_string(root().join("docs/SECURITY.md")).unwrap();
    let mut known = BTreeSet::new();
    functions(&root().join("src"), &mut known);
    functions(&root().join("tests/suite"), &mut known);
    let rows = rows(&page);
    assert!(rows.len() > 40, "{} rows", rows.len());
    for (line, cell) in rows {
        assert!(names(cell).next().is_some(), "docs/SECURITY.md:{line}: no test is named");
        for name in names(cell) {
            assert!(known.contains(name), "docs/SECURITY.md:{line}: there is no test {name}");
        }
    }
}
