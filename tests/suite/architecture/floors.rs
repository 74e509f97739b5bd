//! The floor plan in the documentation of `src/lib.rs`: a module imports only from floors below its own.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use super::program::{Edge, Program};

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The floor plan in `lib.rs`, line by line.
fn plan() -> Vec<String> {
    let text = read("src/lib.rs");
    let plan = text.split("```text").nth(1).and_then(|rest| rest.split("```").next());
    let lines = plan.expect("the floor plan").lines();
    lines.filter_map(|line| line.trim().strip_prefix("//! ")).map(str::to_owned).collect()
}

/// The floor of each module: a line is `3  credential · route   remark`; `a → b` is a floor within a floor.
fn floors(plan: &[String]) -> HashMap<String, i32> {
    let mut floors = HashMap::new();
    for line in plan {
        let (number, rest) = line.split_once("  ").expect("a floor and its modules");
        let number: i32 = number.trim().parse().expect("the number of a floor");
        let modules = rest.trim().split("   ").next().unwrap();
        let steps: Vec<_> = modules.split('→').collect();
        for (step, modules) in steps.iter().enumerate() {
            let height = number * 10 + i32::try_from(steps.len() - 1 - step).unwrap();
            for module in modules.split(['·', ',']) {
                floors.insert(module.trim().to_owned(), height);
            }
        }
    }
    floors
}

/// Imports of modules that are not on a floor below.
fn violations(program: &Program, floors: &HashMap<String, i32>) -> Vec<String> {
    let floor = |module: &str| {
        *floors.get(module).unwrap_or_else(|| panic!("`{module}` is not on the floor plan in src/lib.rs"))
    };
    let upward = |edge: &Edge| {
        let from = program.files[edge.from].top();
        let targets = [Some(program.files[edge.to].top().to_owned()), edge.names.clone()];
        let mut others = targets.into_iter().flatten().filter(|to| to != from && to != "lib");
        let wrong = others.find(|to| floor(to) >= floor(from))?;
        let place = format!("src/{}:{}", program.files[edge.from].path, edge.line);
        Some(format!("{place}: {from} imports {wrong}, which is not on a floor below ({})", edge.path))
    };
    // The root lists the modules, and `main` is a crate of its own that starts the library.
    let has_floor = |edge: &&Edge| !["lib", "main"].contains(&program.files[edge.from].top());
    program.edges().0.iter().filter(has_floor).filter_map(upward).collect()
}

#[test]
fn floor_plan_lists_exactly_the_modules() {
    let (program, floors) = (Program::sidekey(), floors(&plan()));
    let modules: Vec<_> = program.files.iter().map(super::program::File::top).collect();
    let missing: Vec<_> =
        modules.iter().filter(|top| **top != "lib" && !floors.contains_key(**top)).collect();
    assert!(missing.is_empty(), "not on the floor plan in src/lib.rs: {missing:?}");
    let gone: Vec<_> = floors.keys().filter(|name| !modules.contains(&name.as_str())).collect();
    assert!(gone.is_empty(), "on the floor plan in src/lib.rs without a module: {gone:?}");
}

#[test]
fn floor_plan_is_the_same_in_architecture_page() {
    let page = read("docs/ARCHITECTURE.md");
    for line in plan() {
        let modules = line.split("    ").next().unwrap().trim_end();
        assert!(page.contains(modules), "docs/ARCHITECTURE.md has another floor plan: {modules}");
    }
}

#[test]
fn modules_import_only_from_floors_below() {
    let floors = floors(&plan());
    let found = violations(&Program::sidekey(), &floors);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert_eq!(floors["proxy"], floors["admin"], "neither imports the other");
    assert!(floors["config"] > floors["secret"] && floors["config"] < floors["oauth2"]);
}

/// A program of three floors: `top`, then `left` and `right`, then `ground`.
fn on_three_floors(changed: &str, text: &str) -> Vec<String> {
    let plan = ["2  main, top", "1  left · right", "0  ground   remark"].map(str::to_owned);
    let mut sources = vec![
        ("lib.rs", "mod top; mod left; mod right; mod ground;"),
        ("main.rs", "fn main() { sidekey::top::go() }"),
        ("top.rs", "pub fn go() { crate::left::a::go() }"),
        ("left/mod.rs", "pub mod a;"),
        ("left/a.rs", "pub fn go() {}"),
        ("right.rs", "pub struct Right;"),
        ("ground.rs", "pub struct Ground;"),
    ];
    sources.iter_mut().find(|(path, _)| *path == changed).unwrap().1 = text;
    violations(&Program::of(&sources), &floors(&plan))
}

#[test]
fn floors_rule_accepts_imports_from_below() {
    for (file, text) in [
        ("top.rs", "use crate::{ground::Ground, left::a, right::Right}; pub fn go() { a::go() }"),
        ("left/a.rs", "use crate::ground::Ground; pub fn go() {}"),
        // Neither tests, nor texts, nor comments, nor other crates are imports.
        ("left/a.rs", "pub fn go() {} #[cfg(test)] mod tests { use crate::top::go; }"),
        ("left/a.rs", "#[cfg(test)] use crate::right::Right; pub fn go() {}"),
        ("left/a.rs", "pub fn go() {} impl X { #[cfg(test)] fn f() { crate::top::go() } }"),
        ("left/a.rs", "pub fn go() { #[cfg(test)] crate::top::go(); }"),
        ("left/a.rs", "/// [`crate::top::go`]\npub fn go() { f(\"crate::top::go\") } // crate::top"),
        ("left/a.rs", "use top::right; use ::right::X; pub fn go() { std::right::f() }"),
    ] {
        assert_eq!(on_three_floors(file, text), Vec::<String>::new(), "{file}: {text}");
    }
}

#[test]
fn floors_rule_rejects_imports_from_above_and_beside() {
    for (file, text) in [
        ("left/a.rs", "use crate::right::Right; pub fn go() {}"),
        (
            "left/a.rs",
            "use crate::{\n    ground::Ground,\n    right::{\n        Right,\n    },\n}; pub fn go() {}",
        ),
        ("left/a.rs", "use super::super::right; pub fn go() {}"),
        ("left/a.rs", "use super::super::right::Right as R; pub fn go() {}"),
        ("left/a.rs", "pub fn go() { crate::top::go() }"),
        ("left/a.rs", "pub fn go() -> crate::right::Right { todo!() }"),
        ("left/a.rs", "pub fn go() { use crate::top; top::go() }"),
        ("left/a.rs", "pub fn go() { println!(\"{:?}\", Some(crate::right::Right)) }"),
        ("left/a.rs", "pub fn go() { tokio::select! { _ = crate::top::go() => () } }"),
        ("left/mod.rs", "pub mod a; pub use crate::right::Right;"),
        ("ground.rs", "pub struct Ground; mod inner { use super::super::left::a; }"),
        ("ground.rs", "pub struct Ground(pub(crate) crate::right::Right);"),
        ("ground.rs", "pub struct Ground; impl From<crate::right::Right> for Ground {}"),
    ] {
        assert!(!on_three_floors(file, text).is_empty(), "{file}: {text}");
    }
}
