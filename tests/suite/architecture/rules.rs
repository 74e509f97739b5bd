//! Further rules: what the configuration imports, where pingora, secrets and printing are allowed, and the
//! form of modules.

use super::exceptions::{EXPOSING, OPENING, PINGORA};
use super::program::{File, Program};
use super::words::{Kind, places};

/// Names of modules that say nothing of what is in them.
const DRAWERS: [&str; 5] = ["utils", "util", "helpers", "common", "misc"];

/// Whether a word is what a rule is about.
type Rule = fn(Kind, &str) -> bool;

fn names_pingora(kind: Kind, word: &str) -> bool {
    matches!(kind, Kind::Identifier | Kind::Text) && word.starts_with("pingora")
}

fn exposes(kind: Kind, word: &str) -> bool {
    kind == Kind::Call && word == "expose"
}

fn prints(kind: Kind, word: &str) -> bool {
    kind == Kind::Macro && ["print", "println", "eprint", "eprintln"].contains(&word)
}

/// Ways to open a file or to read it as a whole, which do not end if the file is a FIFO.
const OPENS: [&str; 8] = [
    "File::open",
    "File::options",
    "fs::File",
    "fs::OpenOptions",
    "OpenOptions::new",
    "fs::read",
    "fs::read_to_string",
    "fs::open",
];

/// Methods of `PemObject` that open a file.
const OPENS_PEM: [&str; 2] = ["from_pem_file", "pem_file_iter"];

fn opens_file(kind: Kind, word: &str) -> bool {
    kind == Kind::Path && OPENS.contains(&word) || kind == Kind::Call && OPENS_PEM.contains(&word)
}

/// The places in files where a rule does not allow what it is about.
fn outside(program: &Program, is_allowed: impl Fn(&File) -> bool, is_meant: Rule) -> Vec<String> {
    let files = program.files.iter().filter(|file| !is_allowed(file));
    files.flat_map(|file| places(file, is_meant)).collect()
}

fn is_in_pingora_files(file: &File) -> bool {
    PINGORA.contains(&file.path.as_str())
}

fn is_opening(file: &File) -> bool {
    OPENING.contains(&file.path.as_str())
}

fn is_exposing(file: &File) -> bool {
    EXPOSING.contains(&file.top())
}

fn is_cli(file: &File) -> bool {
    file.top() == "cli"
}

/// Imports of the configuration other than `secret`.
fn config_imports(program: &Program) -> Vec<String> {
    let edges = program.edges().0.into_iter();
    let of_config = edges.filter(|edge| program.files[edge.from].top() == "config");
    let wrong =
        of_config.filter(|edge| !["config", "rules", "secret"].contains(&program.files[edge.to].top()));
    wrong.map(|edge| format!("src/{}:{}: {}", program.files[edge.from].path, edge.line, edge.path)).collect()
}

/// `mod.rs` files with more than module declarations and imports.
fn modules_with_code(program: &Program) -> Vec<String> {
    let is_module = |file: &&File| file.path == "lib.rs" || file.path.ends_with("mod.rs");
    let modules = program.files.iter().filter(is_module).filter(|file| !file.is_table_of_contents());
    modules.map(|file| format!("src/{} is no table of contents", file.path)).collect()
}

#[track_caller]
fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}, but:\n{}", found.join("\n"));
}

#[test]
fn config_imports_secret_and_rules_alone() {
    assert_none("config imports secret and rules alone", &config_imports(&Program::sidekey()));
}

#[test]
fn pingora_is_named_only_in_the_listed_files() {
    let program = Program::sidekey();
    assert_none("pingora is named in few files", &outside(&program, is_in_pingora_files, names_pingora));
    for path in PINGORA {
        let file = program.files.iter().find(|file| file.path == *path);
        let names_it = file.is_some_and(|file| !places(file, names_pingora).is_empty());
        assert!(names_it, "src/{path} does not name pingora: remove it from the list");
    }
}

#[test]
fn secrets_are_exposed_only_where_they_are_sent() {
    let program = Program::sidekey();
    assert_none("secrets are exposed only where they are sent", &outside(&program, is_exposing, exposes));
    for module in EXPOSING {
        let elsewhere = |file: &File| file.top() != *module;
        let found = outside(&program, elsewhere, exposes);
        assert!(!found.is_empty(), "{module} exposes no secret: remove it from the list");
    }
}

#[test]
fn files_are_opened_only_in_the_listed_files() {
    let program = Program::sidekey();
    let found = outside(&program, is_opening, opens_file);
    assert_none("files are read by `secret::read_file`, which is bounded in time and size", &found);
    for path in OPENING {
        let file = program.files.iter().find(|file| file.path == *path);
        let opens = file.is_some_and(|file| !places(file, opens_file).is_empty());
        assert!(opens, "src/{path} opens no file: remove it from the list");
    }
}

#[test]
fn printing_is_done_only_by_the_command_line() {
    let program = Program::sidekey();
    assert_none("only cli prints", &outside(&program, is_cli, prints));
    assert!(!outside(&program, |_| false, prints).is_empty(), "the rule finds prints");
}

#[test]
fn module_names_say_what_is_in_them() {
    for file in Program::sidekey().files {
        let drawer = file.path.split(['/', '.']).find(|part| DRAWERS.contains(part));
        assert_eq!(drawer, None, "src/{}", file.path);
    }
}

#[test]
fn modules_are_tables_of_contents() {
    let found = modules_with_code(&Program::sidekey());
    assert_none("a mod.rs has only module declarations and imports", &found);
}

/// A program whose only file with code is `src/config/a.rs`.
fn with_code(text: &str) -> Program {
    Program::of(&[
        ("lib.rs", "mod config; mod secret; mod tls;"),
        ("config/mod.rs", "mod a; pub use a::A;"),
        ("config/a.rs", text),
        ("secret.rs", "pub struct Secret; impl Secret { pub fn expose(&self) {} }"),
        ("tls.rs", "pub struct Tls;"),
    ])
}

#[test]
fn config_rule_detects_other_imports() {
    for (text, count) in [
        ("use crate::secret::Secret; use std::fmt; use super::A;", 0),
        ("use crate::{\n    secret::Secret,\n    tls::Tls,\n};", 1),
        ("fn f() { super::super::tls::Tls; }", 1),
        ("#[cfg(test)] mod tests { use crate::tls::Tls; }", 0),
    ] {
        assert_eq!(config_imports(&with_code(text)).len(), count, "{text}");
    }
}

#[test]
fn word_rules_detect_names_calls_macros_and_texts() {
    let found = |text, rule| !outside(&with_code(text), |_| false, rule).is_empty();
    let rules: [(Rule, &str, &[&str], &[&str]); 4] = [
        (
            names_pingora,
            "pingora",
            &["use pingora::x;", "fn f() { g(\"pingora_core=off\") }", "fn f() { vec![pingora_core::X] }"],
            &["/// pingora\nfn f() {} // pingora", "#[cfg(test)] use pingora::x;"],
        ),
        (
            exposes,
            "expose",
            &["fn f() { s.expose() }", "fn f() { m.map(Secret::expose) }", "fn f() { g!(s.expose()) }"],
            &["fn expose() {}", "fn f() { g(\"s.expose()\") }"],
        ),
        (
            opens_file,
            "open",
            &[
                "use std::fs::File;",
                "use std::{fs::{self, OpenOptions}, io};",
                "use std::fs::read as load;",
                "fn f() { std::fs::File::open(p) }",
                "fn f() { fs::read_to_string(p) }",
                "fn f() { g!(fs::read(p)) }",
                "fn f() { CertificateDer::from_pem_file(p) }",
            ],
            &["use std::fs::{self, read_dir};", "fn f() { secret::read(v); s.open(p); fs::metadata(p) }"],
        ),
        (
            prints,
            "print",
            &["fn f() { println!(\"\") }", "fn f() { std::eprint!(\"\") }", "fn f() { g!(println!(\"\")) }"],
            &["fn print() {}", "fn f() { g(\"println!()\"); writeln!(w, \"\") }"],
        ),
    ];
    for (rule, name, wrong, right) in rules {
        assert!(wrong.iter().all(|text| found(text, rule)), "{name}: {wrong:?}");
        assert!(right.iter().all(|text| !found(text, rule)), "{name}: {right:?}");
    }
}

#[test]
fn contents_rule_detects_code() {
    let program =
        |text| Program::of(&[("lib.rs", "mod config;"), ("config/mod.rs", text), ("config/a.rs", "")]);
    for (text, is_contents) in [
        ("//! Doc.\n#![allow(x)]\nmod a; pub use a::A; #[cfg(test)] mod tests { fn f() {} }", true),
        ("mod a; const A: u8 = 1;", false),
        ("mod a; pub mod inner { }", false),
        ("mod a; impl X {}", false),
    ] {
        assert_eq!(modules_with_code(&program(text)).is_empty(), is_contents, "{text}");
    }
}
