//! The files that a path of `include` leads to: a file, the files of a folder, or those that match a pattern.
//!
//! Only names that end in `.yaml` or `.yml` count in a folder, and a name that begins with a dot counts nowhere. So copies of
//! editors (`a.yaml~`, `.a.yaml.swp`, `#a.yaml#`) and the `..data` of a volume of Kubernetes are no configuration.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::secret::in_time;

/// Largest number of names in a folder, and of files that are included.
pub(super) const MAX_FILES: usize = 2000;

/// Why there is no list of files. The text contains nothing of the path.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum IncludeError {
    #[error("no such file or folder")]
    NotFound,
    #[error("cannot read the folder: {0}")]
    Folder(String),
    #[error("more than {MAX_FILES} files")]
    TooMany,
    #[error("`*` is allowed in the last part of the path only")]
    Pattern,
}

/// The files of one path, sorted by name. A folder and a pattern may have none; a file must be there.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, IncludeError> {
    in_time(path, list).unwrap_or_else(|error| Err(IncludeError::Folder(text(&error))))
}

fn list(path: &Path) -> Result<Vec<PathBuf>, IncludeError> {
    let (name, folder) = (path.file_name().unwrap_or_default(), path.parent().unwrap_or(Path::new("")));
    let has_star = |text: &OsStr| text.as_encoded_bytes().contains(&b'*');
    if has_star(folder.as_os_str()) {
        return Err(IncludeError::Pattern);
    }
    if has_star(name) {
        let pattern = name.as_encoded_bytes();
        return of_folder(folder, |name| matches(pattern, name) && !is_copy_of_editor(name));
    }
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => of_folder(path, is_yaml),
        Ok(_) => Ok(vec![path.to_owned()]),
        // Reading the file says what is wrong with it.
        Err(error) if error.kind() != io::ErrorKind::NotFound => Ok(vec![path.to_owned()]),
        Err(_) => Err(IncludeError::NotFound),
    }
}

/// Whether a path of `include` would lead to a file if it existed.
pub(super) fn would_have(path: &Path, file: &Path) -> bool {
    let Some(name) = file.file_name().map(OsStr::as_encoded_bytes).filter(|name| !name.starts_with(b"."))
    else {
        return false;
    };
    let is_in = |folder: &Path| {
        let real = |folder: &Path| opened(folder).canonicalize().ok();
        real(folder).is_some_and(|folder| file.parent().and_then(real) == Some(folder))
    };
    match path.file_name() {
        Some(pattern) if pattern.as_encoded_bytes().contains(&b'*') => {
            matches(pattern.as_encoded_bytes(), name)
                && !is_copy_of_editor(name)
                && path.parent().is_some_and(is_in)
        }
        _ if path.is_dir() => is_yaml(name) && is_in(path),
        _ => path == file,
    }
}

fn of_folder(folder: &Path, is_wanted: impl Fn(&[u8]) -> bool) -> Result<Vec<PathBuf>, IncludeError> {
    let error = |error: io::Error| IncludeError::Folder(text(&error));
    let mut files = Vec::new();
    for (count, entry) in std::fs::read_dir(opened(folder)).map_err(error)?.enumerate() {
        let name = entry.map_err(error)?.file_name();
        if count >= MAX_FILES {
            return Err(IncludeError::TooMany);
        }
        let path = folder.join(&name);
        // What is no folder is a file: one that cannot be read, or is a device, is an error when it is read.
        if !name.as_encoded_bytes().starts_with(b".") && is_wanted(name.as_encoded_bytes()) && !path.is_dir()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The folder as it is opened.
fn opened(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn is_yaml(name: &[u8]) -> bool {
    name.ends_with(b".yaml") || name.ends_with(b".yml")
}

/// Whether an editor leaves such a file beside the one that is edited.
fn is_copy_of_editor(name: &[u8]) -> bool {
    name.ends_with(b"~")
        || name.starts_with(b"#")
        || [&b".swp"[..], b".bak", b".tmp"].iter().any(|end| name.ends_with(end))
}

/// Whether a name matches a pattern in which `*` stands for any characters.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let at = rest.windows(part.len().max(1)).position(|window| window == part);
        match at {
            _ if part.is_empty() => {}
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The text of an I/O error without `(os error 2)`.
fn text(error: &io::Error) -> String {
    error.to_string().split(" (os error").next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let files = files(path).unwrap();
        files.iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn folder_has_its_yaml_files_in_order_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let copies =
            ["b.yaml~", ".b.yaml.swp", ".#b.yaml", "#b.yaml#", "b.yaml.bak", ".hidden.yaml", "README"];
        for name in ["b.yaml", "a.yml", "c.yaml"].iter().chain(&copies) {
            fs::write(dir.path().join(name), "").unwrap();
        }
        fs::create_dir(dir.path().join("below.yaml")).unwrap();
        assert_eq!(names(dir.path()), ["a.yml", "b.yaml", "c.yaml"]);
        assert_eq!(names(&dir.path().join("*")), ["README", "a.yml", "b.yaml", "c.yaml"]);
        assert_eq!(names(&dir.path().join("*.yaml")), ["b.yaml", "c.yaml"]);
        assert_eq!(names(&dir.path().join("none-*.yaml")), [""; 0]);
    }

    #[test]
    fn kubernetes_volume_has_each_file_once() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("..2026")).unwrap();
        fs::write(dir.path().join("..2026/a.yaml"), "").unwrap();
        symlink("..2026", dir.path().join("..data")).unwrap();
        symlink("..data/a.yaml", dir.path().join("a.yaml")).unwrap();
        assert_eq!(names(dir.path()), ["a.yaml"]);
    }

    #[test]
    fn file_must_be_there_and_a_folder_may_be_empty() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(names(dir.path()), [""; 0]);
        assert_eq!(files(&dir.path().join("a.yaml")), Err(IncludeError::NotFound));
        assert_eq!(files(&dir.path().join("*/a.yaml")), Err(IncludeError::Pattern));
        let missing = files(&dir.path().join("none/*.yaml")).unwrap_err().to_string();
        assert_eq!(missing, "cannot read the folder: No such file or directory");
        // A link that leads nowhere is an error when it is read.
        symlink("nowhere", dir.path().join("b.yaml")).unwrap();
        assert_eq!(names(dir.path()), ["b.yaml"]);
    }

    #[test]
    fn file_that_does_not_exist_would_be_found_where_it_would_be_listed() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        assert!(would_have(dir.path(), &at("new.yaml")) && would_have(&at("n*.yaml"), &at("new.yaml")));
        assert!(would_have(&at("new.yaml"), &at("new.yaml")));
        for (include, file) in [
            (dir.path().to_owned(), at("new.txt")),
            (dir.path().to_owned(), at(".new.yaml")),
            (dir.path().to_owned(), at("below/new.yaml")),
            (at("a*.yaml"), at("new.yaml")),
            (at("*"), at("new.yaml~")),
            (at("other.yaml"), at("new.yaml")),
        ] {
            assert!(!would_have(&include, &file), "{} {}", include.display(), file.display());
        }
    }

    #[test]
    fn star_stands_for_any_characters() {
        for (pattern, name) in
            [("*", "a"), ("*.yaml", "a.yaml"), ("a*c", "abc"), ("a*b*c", "axbxc"), ("a*", "a"), ("**", "a")]
        {
            assert!(matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.yaml", "a.yml"), ("a*a", "a"), ("a*b*c", "acb"), ("b*", "ab"), ("*ab*b", "ab")]
        {
            assert!(!matches(pattern.as_bytes(), name.as_bytes()), "{pattern} {name}");
        }
    }
}
