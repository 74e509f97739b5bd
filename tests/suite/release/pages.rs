//! The documents: every link leads somewhere, and every command is one that exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::artefacts::root;
use crate::suite::deploy::image::succeed;

/// A document, and its lines with whether each is in a code block, and of which language.
struct Page {
    path: PathBuf,
    lines: Vec<(String, Option<String>)>,
}

impl Page {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let (mut lines, mut language) = (Vec::new(), None);
        for line in text.lines() {
            match (line.trim_start().strip_prefix("```"), &language) {
                (Some(name), None) => language = Some(name.to_owned()),
                (Some(_), Some(_)) => language = None,
                (None, _) => lines.push((line.to_owned(), language.clone())),
            }
        }
        Self { path, lines }
    }

    fn text(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter(|(_, language)| language.is_none()).map(|(line, _)| line.as_str())
    }

    /// The lines of blocks in these languages, those that continue joined.
    fn code(&self, languages: &[&str]) -> Vec<String> {
        let is_one =
            |language: &Option<String>| language.as_deref().is_some_and(|name| languages.contains(&name));
        let mut joined: Vec<String> = Vec::new();
        let mut continues = false;
        for (line, _) in self.lines.iter().filter(|(_, language)| is_one(language)) {
            let part = line.trim_end_matches('\\');
            match joined.last_mut().filter(|_| continues) {
                Some(last) => last.push_str(part),
                None => joined.push(part.to_owned()),
            }
            continues = line.ends_with('\\');
        }
        joined
    }

    /// The targets of links.
    fn links(&self) -> Vec<String> {
        let in_line = |line: &str| -> Vec<String> {
            // Code between backquotes is no link.
            let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("x");
            let parts = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
            parts.map(|(target, _)| target.to_owned()).collect()
        };
        self.text().flat_map(in_line).collect()
    }

    /// The anchors of headings, as forges and mdBook make them.
    fn anchors(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for heading in self.text().filter(|line| line.starts_with('#')) {
            let heading = heading.trim_start_matches('#').trim().replace('`', "");
            let kept = heading
                .to_lowercase()
                .chars()
                .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
                .collect::<String>();
            let slug = kept.replace(' ', "-");
            let mut unique = slug.clone();
            for number in 1.. {
                if found.insert(unique.clone()) {
                    break;
                }
                unique = format!("{slug}-{number}");
            }
        }
        found
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }
}

/// Every document of the project.
fn pages() -> Vec<Page> {
    let folders = ["", "docs", "deploy/kubernetes", ".github"];
    let entries = folders.iter().filter_map(|folder| fs::read_dir(root().join(folder)).ok()).flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")).collect();
    paths.sort();
    paths.into_iter().map(Page::read).collect()
}

#[test]
fn links_of_documents_lead_to_files_and_headings() {
    let pages = pages();
    let anchors: BTreeMap<PathBuf, _> =
        pages.iter().map(|page| (page.path.clone(), page.anchors())).collect();
    let (mut broken, mut count) = (Vec::new(), 0);
    for page in &pages {
        for link in page.links().into_iter().filter(|link| !link.contains(':')) {
            count += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let to =
                if file.is_empty() { page.path.clone() } else { normal(&page.path.with_file_name(file)) };
            // Made for the site, from the schema.
            let is_made = to == root().join("docs/KEYS.md");
            let is_there = is_made || to.exists();
            let has_anchor =
                anchor.is_empty() || anchors.get(&to).is_some_and(|known| known.contains(anchor));
            if !is_there || !has_anchor {
                broken.push(format!("{}: {link}", page.name()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    assert!(count > 300, "{count} links were looked at");
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::ParentDir => assert!(parts.pop()),
            other => parts.push(other),
        }
    }
    parts
}

#[test]
fn every_document_is_in_the_table_of_contents() {
    let summary = Page::read(root().join("docs/SUMMARY.md"));
    let listed: BTreeSet<_> = summary.links().into_iter().collect();
    for page in pages().iter().filter(|page| page.path.parent() == Some(&root().join("docs"))) {
        let name = page.path.file_name().unwrap().to_str().unwrap();
        assert!(name == "SUMMARY.md" || listed.contains(name), "docs/{name}");
    }
}

/// The options that each subcommand has, by its words (`ca init`).
struct Options(BTreeMap<String, BTreeSet<String>>);

impl Options {
    fn of_the_program() -> Self {
        let mut all = Self(BTreeMap::new());
        all.add("");
        all
    }

    fn add(&mut self, command: &str) {
        let mut help = Command::new(env!("CARGO_BIN_EXE_sidekey"));
        let text = succeed(help.args(command.split_whitespace()).arg("--help")).0;
        let words = text.split(|c: char| c.is_whitespace() || [',', '='].contains(&c));
        let options = words
            .filter(|word| word.starts_with('-'))
            .map(|word| word.trim_end_matches(['.', ':']).to_owned());
        self.0.insert(command.to_owned(), options.collect());
        let commands =
            text.split_once("\nCommands:\n").map_or("", |(_, rest)| rest.split("\n\n").next().unwrap());
        for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" {
                self.add(format!("{command} {name}").trim());
            }
        }
    }

    /// What is wrong with the words of a command after `sidekey`.
    fn wrong(&self, words: &[&str]) -> Option<String> {
        let mut command = String::new();
        let mut rest = words;
        while let [first, others @ ..] = rest {
            let longer = format!("{command} {first}").trim().to_owned();
            if !self.0.contains_key(&longer) {
                break;
            }
            (command, rest) = (longer, others);
        }
        let known = &self.0[&command];
        if command.is_empty() && rest.first().is_some_and(|word| !word.starts_with('-')) {
            return Some(format!("no command {}", rest[0]));
        }
        // What follows `--` is the command of `exec`.
        let options = rest.iter().take_while(|word| **word != "--").filter(|word| word.starts_with('-'));
        let names =
            options.map(|word| word.split('=').next().unwrap()).filter(|name| !name.starts_with("--…"));
        let mut unknown = names.filter(|name| !known.contains(*name));
        unknown.next().map(|name| format!("{command} has no {name}"))
    }
}

/// The commands of a shell line: those between `|`, `&&` and `;`, without a prompt, a comment and what stands before the program.
fn commands(line: &str) -> Vec<Vec<&str>> {
    let line = line.trim().trim_start_matches("$ ").split(" #").next().unwrap();
    // `NAME="some words"` has no program.
    let is_text = |part: &&str| {
        let (name, text) = part.split_once("=\"").unwrap_or_default();
        !name.trim().is_empty()
            && !name.trim().contains(' ')
            && !text.split(' ').next().unwrap().contains('"')
    };
    let parts = line.split(['|', ';']).flat_map(|part| part.split("&&")).filter(|part| !is_text(part));
    let words = parts.map(|part| {
        part.split_whitespace().skip_while(|word| word.contains('=') || *word == "sudo").collect()
    });
    words.filter(|words: &Vec<_>| !words.is_empty() && !words[0].starts_with('#')).collect()
}

#[test]
fn commands_of_documents_exist_with_their_options() {
    let options = Options::of_the_program();
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let (mut wrong, mut count) = (Vec::new(), 0);
    for page in pages().iter().filter(|page| !page.path.ends_with("CHANGELOG.md")) {
        for line in page.code(&["sh", "console", "bash", ""]) {
            for words in commands(&line) {
                let problem = match words[0] {
                    "sidekey" => options.wrong(&words[1..]),
                    "make" => words[1..]
                        .iter()
                        .find(|word| !word.contains('=') && !makefile.contains(&format!("\n{word}:")))
                        .map(|word| format!("no task {word}")),
                    script if script.trim_start_matches("./").starts_with("scripts/") => {
                        (!root().join(script).is_file()).then(|| format!("no {script}"))
                    }
                    _ => continue,
                };
                count += 1;
                wrong.extend(problem.map(|problem| format!("{}: {problem}: {line}", page.name())));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 100, "{count} commands were looked at");
    assert_eq!(
        options.wrong(&["run", "--confg", "x"]),
        Some("run has no --confg".to_owned()),
        "it finds a mistake"
    );
}
