//! What is injected: files, folders and standard input.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::inject::text::MAX_SIZE;
use crate::secret::{read_file, read_to_end};

/// How deep folders are read.
const MAX_DEPTH: usize = 32;

/// How many files are read.
const MAX_FILES: usize = 10_000;

/// One text, and where it is from.
pub(super) struct Input {
    /// `None` for standard input.
    pub(super) path: Option<PathBuf>,
    pub(super) text: String,
}

impl Input {
    /// The name of the input in messages.
    pub(super) fn name(&self) -> String {
        self.path.as_ref().map_or_else(|| "standard input".into(), |path| path.display().to_string())
    }
}

/// Reads everything that is named. A folder has manifests in files that end in `.yaml`, `.yml` or `.json`, also in its folders.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Input>, String> {
    let mut inputs = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            let bytes = read_to_end(&mut io::stdin().lock(), 0, MAX_SIZE);
            let bytes = bytes.map_err(|error| format!("standard input: {error}"))?;
            let bytes = bytes.ok_or_else(|| format!("standard input: larger than {} MiB", MAX_SIZE >> 20))?;
            inputs.push(Input { path: None, text: text(&bytes, "standard input")? });
        } else if path.is_dir() {
            let mut files = Vec::new();
            list(path, 0, &mut files)?;
            inputs.extend(files.into_iter().map(read_one).collect::<Result<Vec<_>, _>>()?);
        } else {
            inputs.push(read_one(path.clone())?);
        }
    }
    Ok(inputs)
}

fn read_one(path: PathBuf) -> Result<Input, String> {
    let name = path.display().to_string();
    let bytes = read_file(&path, MAX_SIZE).map_err(|error| format!("{name}: {error}"))?;
    Ok(Input { text: text(&bytes, &name)?, path: Some(path) })
}

fn text(bytes: &[u8], name: &str) -> Result<String, String> {
    str::from_utf8(bytes).map(str::to_owned).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
        format!("{name}: line {line}: not UTF-8 text")
    })
}

/// The manifests of a folder, by name. Hidden files and folders, and symbolic links to folders, are left out.
fn list(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let error = |problem: String| format!("{}: {problem}", folder.display());
    if depth > MAX_DEPTH {
        return Err(error(format!("folders in more than {MAX_DEPTH} folders")));
    }
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut paths: Vec<_> =
        entries.map_err(|cause| error(cause.to_string()))?.iter().map(fs::DirEntry::path).collect();
    paths.sort();
    for path in paths {
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_manifest =
            path.extension().is_some_and(|end| ["yaml", "yml", "json"].iter().any(|own| end == *own));
        if is_hidden {
            continue;
        }
        if path.is_dir() && !path.is_symlink() {
            list(&path, depth + 1, files)?;
        } else if is_manifest && path.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(error(format!("more than {MAX_FILES} files")));
        }
    }
    Ok(())
}
