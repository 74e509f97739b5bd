//! The rule of the circles finds them, in small programs.

use super::circles::{Graph, violations};
use super::program::Program;

const LIB: (&str, &str) = ("lib.rs", "mod one; mod two;");

fn file_circles(sources: &[(&str, &str)]) -> Vec<String> {
    violations(&[Graph::of_files(&Program::of(sources))])
}

fn folder_circles(sources: &[(&str, &str)]) -> Vec<String> {
    violations(&Graph::of_folders(&Program::of(sources)))
}

#[track_caller]
fn assert_one(found: &[String], circle: &[&str]) {
    let is_it = |line: &String| *line == format!("circle: {circle:?}");
    assert!(found.first().is_some_and(is_it), "{found:#?}");
    assert_eq!(found.iter().filter(|line| line.starts_with("circle")).count(), 1, "{found:#?}");
}

#[test]
fn circle_rule_finds_two_files_that_import_each_other() {
    for (one, two) in [
        ("use crate::two::Two; pub struct One;", "use crate::one::One; pub struct Two;"),
        ("use super::two::{self, Two as T}; pub struct One;", "pub struct Two(crate::one::One);"),
        ("pub struct One; fn f() { super::two::g() }", "pub fn g() { let x = crate::one::One; }"),
        (
            "use crate::{\n    two::{\n        Two,\n    },\n};\npub struct One;",
            "use crate as root; pub struct Two(root::one::One);",
        ),
        ("use crate::two; pub struct One(two::Two);", "pub struct Two; fn f() { vec![crate::one::One]; }"),
        (
            "use crate::two::Made; pub struct One;",
            "macro_rules! make { ($x:ident) => { pub struct Made { $x: u8 } }; } make!(x); use super::one::One;",
        ),
        ("use crate::two::*; pub struct One; fn f(_: Two) {}", "pub struct Two; use crate::one::One;"),
    ] {
        assert_one(&file_circles(&[LIB, ("one.rs", one), ("two.rs", two)]), &["one.rs", "two.rs"]);
    }
}

#[test]
fn circle_rule_follows_reexports_to_the_defining_file() {
    let sources = [
        ("lib.rs", "mod wing;"),
        ("wing/mod.rs", "mod a; mod b; mod c; pub use a::A; use self::b::B; use c::C;"),
        ("wing/a.rs", "use super::B; pub struct A;"),
        ("wing/b.rs", "use crate::wing::{C}; pub struct B;"),
        ("wing/c.rs", "pub struct C; fn f() { super::A; }"),
    ];
    assert_one(&file_circles(&sources), &["wing/a.rs", "wing/b.rs", "wing/c.rs"]);
}

#[test]
fn circle_rule_ignores_tables_of_contents_and_tests() {
    let sources = [
        ("lib.rs", "pub mod wing; pub use wing::A;"),
        ("wing/mod.rs", "//! Contents.\nmod a; mod b; pub use a::A; pub(crate) use self::b::B;"),
        ("wing/a.rs", "use super::B; pub struct A;"),
        ("wing/b.rs", "pub struct B; #[cfg(test)] mod tests { use super::super::A; }"),
    ];
    assert_eq!(file_circles(&sources), Vec::<String>::new());
    assert_eq!(folder_circles(&sources), Vec::<String>::new());
}

#[test]
fn circle_rule_finds_module_with_code_and_its_child() {
    let sources = [
        ("lib.rs", "mod wing;"),
        ("wing/mod.rs", "mod a; use a::A; pub struct Wing(A);"),
        ("wing/a.rs", "use super::Wing; pub struct A;"),
    ];
    assert_one(&file_circles(&sources), &["wing/a.rs", "wing/mod.rs"]);
    assert_one(&folder_circles(&sources), &["wing/a", "wing/mod.rs"]);
}

#[test]
fn circle_rule_finds_folders_without_a_circle_of_files() {
    let sources = [
        ("lib.rs", "mod wing;"),
        ("wing/mod.rs", "mod left; mod right;"),
        ("wing/left/mod.rs", "pub mod a; pub mod b;"),
        ("wing/left/a.rs", "use crate::wing::right::c;"),
        ("wing/left/b.rs", "pub struct B;"),
        ("wing/right/mod.rs", "pub mod c; pub mod d;"),
        ("wing/right/c.rs", "pub struct C;"),
        ("wing/right/d.rs", "use super::super::left::b::B;"),
    ];
    assert_eq!(file_circles(&sources), Vec::<String>::new());
    assert_one(&folder_circles(&sources), &["wing/left", "wing/right"]);
}

#[test]
fn circle_rule_reports_each_circle_with_its_imports() {
    let sources = [
        ("lib.rs", "mod one; mod two; mod three; mod four;"),
        ("one.rs", "use crate::two::Two; pub struct One;"),
        ("two.rs", "use crate::one::One; pub struct Two;"),
        ("three.rs", "use crate::four::Four; pub struct Three(crate::one::One);"),
        ("four.rs", "use crate::three::Three; pub struct Four;"),
    ];
    let found = file_circles(&sources);
    let headings: Vec<_> = found.iter().filter(|line| line.starts_with("circle")).collect();
    assert_eq!(headings, [r#"circle: ["four.rs", "three.rs"]"#, r#"circle: ["one.rs", "two.rs"]"#]);
    // The import of `one` by `three` is within no circle.
    assert_eq!(found.len(), 2 + 4, "{found:#?}");
}
