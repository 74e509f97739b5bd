//! docs/EXIT_CODES.md has every exit code of the program, and no other.

use std::collections::BTreeSet;
use std::fs;

use super::artefacts::root;

#[test]
fn exit_codes_page_has_the_codes_of_the_program() {
    let source = fs::read_to_string(root().join("src/cli/exit.rs")).unwrap();
    let code = |line: &str| {
        line.split_once("const EXIT_")?.1.split_once(" = ")?.1.trim_end_matches(';').parse().ok()
    };
    // What `ExitCode` of the standard library has.
    let program: BTreeSet<u8> = source.lines().filter_map(code).chain([0, 1]).collect();
    let page = fs::read_to_string(root().join("docs/EXIT_CODES.md")).unwrap();
    let row = |line: &str| line.strip_prefix("| ")?.split(' ').next()?.parse().ok();
    let documented: BTreeSet<u8> =
        page.lines().filter(|line| !line.contains("128 + N")).filter_map(row).collect();
    assert_eq!(documented, program);
    assert!(program.len() > 6);
}
