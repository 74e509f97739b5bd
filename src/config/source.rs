//! The files of a configuration: the main file, and those that it includes. Each is a tree whose variables are replaced and whose
//! services have the defaults.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::exposure;
use super::exposure::Content;
use super::file::INCLUDE;
use super::include;
use super::include::MAX_FILES;
use super::reader::document;
use super::reader::document::EMPTY;
use super::reader::error::Diagnostic;
use super::reader::location::{FileId, Location};
use super::reader::report::{Report, Spot, child, sanitize};
use super::reader::resolve::{resolve, resolve_keys};
use super::reader::sections;
use super::reader::tree::{Kind, Node};
use super::reader::value::Value;
use super::service::defaults;
use super::watched_files::FileKind;

/// Top-level keys that begin so are ignored: a place for anchors.
const EXTENSION: &str = "x-";

/// An included file.
pub(super) struct Included {
    /// Its name in messages.
    pub(super) name: String,
    /// The tree, or why there is none.
    pub(super) root: Result<Node, Vec<Diagnostic>>,
    /// Errors outside of its services.
    pub(super) errors: Vec<Diagnostic>,
}

/// Where errors are kept about which entries `services` has.
pub(super) fn entries_spot(file: FileId) -> Spot {
    Spot { location: Location::start(file), path: "services".into() }
}

/// Resolves the main file, and adds its defaults to its services. Errors in a service or a credential are deferred until it is read.
pub(super) fn resolve_main(root: &mut Node, report: &Report<'_>) {
    resolve_file(root, FileId::MAIN, report);
    if let Some(defaults) = member(root, defaults::PATH).cloned() {
        add_defaults(root, &defaults);
    }
}

/// Reads and resolves the files that the main file includes.
///
/// `folder` is that of the main file, `main` its path. `replaced` is one of the included files, which need not exist, and its text.
pub(super) fn included(
    main_root: &Node,
    folder: &Path,
    main: Option<&Path>,
    replaced: Option<(&Path, &str)>,
    report: &Report<'_>,
) -> Vec<Included> {
    let main_defaults = member(main_root, defaults::PATH);
    let files = included_files(main_root, folder, main, replaced.map(|(file, _)| file), report);
    let text_of =
        |path: &Path| replaced.filter(|(file, _)| identity(file) == identity(path)).map(|(_, text)| text);
    if let Some((file, _)) = replaced.filter(|_| !files.iter().any(|path| text_of(path).is_some())) {
        let message = format!("does not lead to {}", sanitize(&file.to_string_lossy()));
        report.error(Location::start(FileId::MAIN), "include", message);
    }
    files.iter().map(|path| read(path, text_of(path), main_defaults, report)).collect()
}

/// The files that the main file includes. `folder` is that of the main file, `main` its path. `added` is one that may not exist yet.
pub(super) fn included_files(
    root: &Node,
    folder: &Path,
    main: Option<&Path>,
    added: Option<&Path>,
    report: &Report<'_>,
) -> Vec<PathBuf> {
    let Some(node) = member(root, "include") else { return Vec::new() };
    if matches!(node.kind, Kind::Null | Kind::Invalid) {
        return Vec::new();
    }
    // No file is read twice, and a folder may have the main file in it.
    let mut known: HashSet<_> = main.into_iter().map(identity).collect();
    let mut files = Vec::new();
    for value in Value::part(node, "include", report, INCLUDE, &[]).one_or_more() {
        let Some(text) = value.text() else { continue };
        if text.is_empty() || text.contains('\0') {
            value.error("not a path");
            continue;
        }
        let path = folder.join(text);
        value.watch(&path, FileKind::Include);
        let added = added.filter(|file| !file.exists() && include::would_have(&path, file));
        match include::files(&path) {
            Ok(mut found) => {
                found.extend(added.map(Path::to_owned));
                found.sort();
                files.extend(found.into_iter().filter(|file| known.insert(identity(file))));
            }
            Err(error) => value.error(error.to_string()),
        }
        if files.len() > MAX_FILES {
            value.error(format!("more than {MAX_FILES} files are included"));
            files.truncate(MAX_FILES);
        }
    }
    files
}

/// A path by which one file is known, however it is reached.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn read(path: &Path, replaced: Option<&str>, main_defaults: Option<&Node>, report: &Report<'_>) -> Included {
    let name = path.display().to_string();
    let file = report.add_file(&name);
    report.watch(path, FileKind::Config);
    warn_if_exposed(path, file, report);
    let tree = match replaced {
        Some(text) => document::parse(text, file, &name),
        None => document::read_file(path)
            .map_err(|error| error.diagnostics().to_vec())
            .and_then(|text| document::parse(&text, file, &name)),
    };
    let mut root = match tree {
        Ok(root) => root,
        // Nothing but comments.
        Err(errors) if errors.iter().all(|error| error.message == EMPTY) => empty(file),
        Err(errors) => return Included { name, root: Err(errors), errors: Vec::new() },
    };
    if matches!(root.kind, Kind::Null) {
        root = empty(file);
    }
    let ((), errors) = report.collect(|| resolve_file(&mut root, file, report));
    let own = member(&root, defaults::PATH).cloned();
    for defaults in own.iter().chain(main_defaults) {
        add_defaults(&mut root, defaults);
    }
    Included { name, root: Ok(root), errors }
}

fn empty(file: FileId) -> Node {
    Node { kind: Kind::Map(Vec::new()), location: Location::start(file), path: None }
}

/// Warns if other users of the machine can change a file of the configuration.
pub(super) fn warn_if_exposed(path: &Path, file: FileId, report: &Report<'_>) {
    for warning in exposure::of_file(path, Content::Trusted, report.known_folders()) {
        report.warn_once(Location::start(file), "configuration", warning);
    }
}

fn resolve_file(root: &mut Node, file: FileId, report: &Report<'_>) {
    resolve_keys(root, "", false, report);
    let Kind::Map(entries) = &mut root.kind else { return resolve(root, "", false, report) };
    entries.retain(|(key, _)| !key.starts_with(EXTENSION));
    for (key, node) in entries {
        let private = sections::holds_secret("", key);
        match (key.as_str(), &node.kind) {
            ("services" | "credentials", Kind::Map(_)) => resolve_entries(node, key, private, file, report),
            _ => resolve(node, &child("", key), private, report),
        }
    }
}

/// Resolves a mapping of names. The errors in one entry are kept apart from those in others.
fn resolve_entries(node: &mut Node, section: &str, private: bool, file: FileId, report: &Report<'_>) {
    if section == "services" {
        let ((), errors) = report.collect(|| resolve_keys(node, section, private, report));
        report.defer(entries_spot(file), errors);
    } else {
        resolve_keys(node, section, private, report);
    }
    let Kind::Map(entries) = &mut node.kind else { return };
    for (name, entry) in entries {
        let path = child(section, name);
        let ((), errors) = report.collect(|| resolve(entry, &path, private, report));
        report.defer(Spot { location: entry.location, path }, errors);
    }
}

fn add_defaults(root: &mut Node, defaults: &Node) {
    let Kind::Map(entries) = &mut root.kind else { return };
    let services = entries.iter_mut().find(|(key, _)| key == "services").map(|(_, node)| &mut node.kind);
    let Some(Kind::Map(services)) = services else { return };
    for (_, service) in services {
        defaults::add(defaults, service);
    }
}

/// The value of a key in a mapping.
pub(super) fn member<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Kind::Map(entries) = &node.kind else { return None };
    entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
}
