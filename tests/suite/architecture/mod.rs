//! The floor plan in the documentation of `src/lib.rs` holds: read there, and checked against every path in
//! the sources.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A source file: its module on the floor plan, and its code without comments and test modules.
struct Source {
    path: String,
    module: String,
    code: Vec<(usize, String)>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&root, &mut files);
    files.sort();
    assert!(files.len() > 50, "the sources are found");
    files
        .iter()
        .map(|file| source(&root, file))
        .filter(|source| !source.path.contains("tests/") && !source.path.ends_with("tests.rs"))
        .collect()
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn source(root: &Path, file: &Path) -> Source {
    let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let module = path.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(file).unwrap();
    // A test module is the last thing in a file.
    let program = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code = program.lines().map(|line| line.split("//").next().unwrap().to_owned());
    Source { path, module, code: (1..).zip(code).collect() }
}

/// The floor plan as it stands in `lib.rs`, line by line.
fn plan() -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let plan =
        text.split("```text").nth(1).and_then(|rest| rest.split("```").next()).expect("the floor plan");
    plan.lines().filter_map(|line| line.trim().strip_prefix("//! ")).map(str::to_owned).collect()
}

/// The modules with their floors: `3  credential · route   remark`, and `a → b` for a floor within a floor.
fn floors() -> HashMap<String, i32> {
    let mut floors = HashMap::new();
    for line in plan() {
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

/// The first segments of all paths that begin with `crate::`, in `use` groups as well.
fn imports(line: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices("crate::")
        .filter(|(at, _)| !line[..*at].ends_with(is_name))
        .flat_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            match rest.strip_prefix('{') {
                Some(group) => group.split(',').map(|part| part.trim().to_owned()).collect(),
                None => vec![rest.to_owned()],
            }
        })
        .map(|path| path.split(|c| !is_name(c)).next().unwrap().to_owned())
        .filter(|module| !module.is_empty())
        .collect()
}

/// Everything that a rule forbids, as `file:line: what`.
fn breaches(rule: impl Fn(&Source, &str) -> Option<String>) -> Vec<String> {
    let mut breaches = Vec::new();
    for source in sources() {
        for (number, line) in &source.code {
            if let Some(what) = rule(&source, line) {
                breaches.push(format!("src/{}:{number}: {what}", source.path));
            }
        }
    }
    breaches
}

#[track_caller]
fn assert_kept(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}, but:\n{}", breaches.join("\n"));
}

/// What a line of a module imports that does not stand below it.
fn upward(floors: &HashMap<String, i32>, module: &str, line: &str) -> Option<String> {
    let wrong = imports(line).into_iter().find(|other| {
        let other_floor = floors.get(other).unwrap_or_else(|| panic!("`{other}` is not on the floor plan"));
        other != module && *other_floor >= floors[module]
    })?;
    Some(format!("{module} imports {wrong}, which is not on a floor below"))
}

#[test]
fn every_module_has_its_floor() {
    let floors = floors();
    let missing: Vec<_> = sources()
        .into_iter()
        .map(|source| source.module)
        .filter(|module| module != "lib" && !floors.contains_key(module))
        .collect();
    assert!(missing.is_empty(), "not on the floor plan in src/lib.rs: {missing:?}");
    let modules: Vec<_> = sources().into_iter().map(|source| source.module).collect();
    let gone: Vec<_> = floors.keys().filter(|name| !modules.contains(name)).collect();
    assert!(gone.is_empty(), "on the floor plan in src/lib.rs, and not there: {gone:?}");
}

#[test]
fn the_architecture_page_shows_the_same_plan() {
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).unwrap();
    for line in plan() {
        let modules = line.split("    ").next().unwrap().trim_end();
        assert!(page.contains(modules), "docs/ARCHITECTURE.md has another floor plan: {modules}");
    }
}

#[test]
fn a_module_imports_only_from_floors_below() {
    let floors = floors();
    let found = breaches(|source, line| match source.module.as_str() {
        "lib" => None,
        module => upward(&floors, module, line),
    });
    assert_kept("a module imports only from floors below its own", &found);
    assert_eq!(floors["proxy"], floors["admin"], "neither imports the other");
    assert!(floors["config"] > floors["secret"] && floors["config"] < floors["oauth2"]);
}

#[test]
fn the_rule_of_the_floors_can_be_broken() {
    let floors = floors();
    assert!(upward(&floors, "oauth2", "use crate::config::OAuth2;").is_none());
    for (module, line) in [
        ("oauth2", "use crate::proxy::Proxy;"),
        ("config", "let x = crate::oauth2::TokenStore::new();"),
        ("proxy", "use crate::admin::Admin;"),
        ("admin", "use crate::{metrics, proxy};"),
        ("secret", "pub use crate::config::Config;"),
        ("app", "use crate::cli::main;"),
    ] {
        assert!(upward(&floors, module, line).is_some(), "{module}: {line}");
    }
}

#[test]
fn the_configuration_knows_nothing_of_the_program_but_secret() {
    let found = breaches(|source, line| {
        let wrong =
            imports(line).into_iter().find(|module| !["config", "secret"].contains(&module.as_str()))?;
        (source.module == "config").then(|| format!("config imports {wrong}"))
    });
    assert_kept("config imports nothing but secret", &found);
}

#[test]
fn pingora_is_named_in_one_file() {
    let names = |line: &str| line.contains("pingora");
    let found = breaches(|source, line| {
        (names(line) && source.path != "app/accept.rs").then(|| "names pingora".into())
    });
    assert_kept("pingora is named in src/app/accept.rs only", &found);
    assert!(!breaches(|_, line| names(line).then(String::new)).is_empty(), "the rule finds what it is about");
}

#[test]
fn a_secret_is_exposed_only_where_it_is_sent() {
    let allowed = ["credential", "oauth2"];
    let touches = |line: &str| line.contains(".expose()") || line.contains("Secret::expose");
    let found = breaches(|source, line| {
        (touches(line) && !allowed.contains(&source.module.as_str())).then(|| "exposes a secret".into())
    });
    assert_kept("secrets are exposed only in credential and oauth2", &found);
    assert!(
        !breaches(|_, line| touches(line).then(String::new)).is_empty(),
        "the rule finds what it is about"
    );
}

#[test]
fn only_the_command_line_prints() {
    let prints = |line: &str| ["print!(", "println!("].iter().any(|end| line.contains(end));
    let found = breaches(|source, line| (prints(line) && source.module != "cli").then(|| "prints".into()));
    assert_kept("print! and its kin are only in cli", &found);
}

#[test]
fn there_is_no_drawer_for_everything() {
    let names = ["utils", "util", "helpers", "common", "misc"];
    for source in sources() {
        let wrong = source.path.split(['/', '.']).find(|part| names.contains(part));
        assert_eq!(wrong, None, "src/{}", source.path);
    }
}
