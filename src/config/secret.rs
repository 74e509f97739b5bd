//! A secret in the file: where it is read from, and reading it.

use std::path::{Path, PathBuf};

use super::FileKind;
use super::command;
use super::reader::interpolate::variable;
use super::reader::value::Item;
use crate::secret::{Algorithm, Command, Secret, SigningKey, Source, SourceError};

/// Reads the secret an item names or is.
pub(super) fn read(item: &Item<'_>) -> Option<Secret> {
    match written(item)? {
        Written::Command(command) => {
            let secret = item.report().commands().secret(&command);
            secret.map_err(|error| item.mistake(error.to_string())).ok()
        }
        Written::Source(source) => {
            if let Source::File(path) = &source {
                item.watch(path, FileKind::Secret);
            }
            let secret = source.read_with(item.environment());
            secret.map_err(|error| item.mistake(explain(&source, &error))).ok()
        }
    }
}

/// Reads a value that may be a secret and may be none: text is nothing to warn of.
pub(super) fn any_value(item: &Item<'_>) -> Option<Secret> {
    if item.is_map() {
        return read(item);
    }
    item.parse(|text| Secret::new(text.to_owned()).map_err(|error| error.to_string()))
}

/// Reads the private key an item names or is.
pub(super) fn signing_key(item: &Item<'_>, algorithm: Option<Algorithm>) -> Option<SigningKey> {
    let Written::Source(source) = written(item)? else {
        item.mistake(
            "a private key has many lines and is not read from a command; let one write it to a file",
        );
        return None;
    };
    if let Source::File(path) = &source {
        item.watch(path, FileKind::Secret);
    }
    let key = source.signing_key(algorithm, item.environment());
    key.map_err(|error| item.mistake(explain(&source, &error))).ok()
}

/// The place a secret is read from whenever it is needed, which must be readable now.
pub(super) fn place(item: &Item<'_>) -> Option<Source> {
    let Written::Source(source) = written(item)? else {
        item.mistake("read anew for each token request, so no command; one that writes it to a file does it");
        return None;
    };
    let secret = source.read_with(item.environment());
    secret.map_err(|error| item.mistake(explain(&source, &error))).ok()?;
    Some(source)
}

/// Reads a secret and holds it to the characters that may stand where it goes.
pub(super) fn read_of(item: &Item<'_>, allowed: fn(char) -> bool, place: &str) -> Option<Secret> {
    let secret = read(item)?;
    if let Some(at) = secret.first_not(allowed) {
        item.mistake(format!("the character at position {at} of the secret cannot stand in {place}"));
        return None;
    }
    Some(secret)
}

/// A secret as the file has it.
enum Written {
    Source(Source),
    Command(Command),
}

fn written(item: &Item<'_>) -> Option<Written> {
    if !item.is_map() {
        if item.is_number() {
            item.mistake(format!(
                "expected a secret, found a number; put it in quotes, or better: {WRITTEN}"
            ));
            return None;
        }
        let value = item.text()?.to_owned();
        item.warn(
            "a secret in plain text; `{ file: PATH }` or `{ env: NAME }` keeps it out of the configuration",
        );
        return Some(Written::Source(Source::Plain(value)));
    }
    let mut table = item.clone().private().table()?;
    if table.has("exec") {
        let command = command::read(&mut table);
        let other = ["env", "file"].into_iter().find(|key| table.has(key));
        if let Some(other) = other {
            table.optional(other);
            item.mistake(format!("both `exec` and `{other}`; a secret is read from one place"));
        }
        table.finish();
        return command.filter(|_| other.is_none()).map(Written::Command);
    }
    // Known, and not there.
    table.optional("exec");
    let (env, file) = (table.has("env"), table.has("file"));
    let name = table.optional("env").and_then(|item| filled(&item));
    let path = table.optional("file").and_then(|item| filled(&item));
    table.finish();
    match (env, file) {
        (true, true) => item.mistake("both `env` and `file`; a secret is read from one place"),
        (false, false) => item.mistake(WRITTEN),
        _ => {}
    }
    match (name, path) {
        (Some(name), None) if !file => Some(Written::Source(Source::Env(name))),
        (None, Some(path)) if !env => Some(Written::Source(Source::File(PathBuf::from(path)))),
        _ => None,
    }
}

const WRITTEN: &str = "a secret is `{ file: PATH }`, `{ env: NAME }`, `{ exec: [COMMAND, …] }` or text";

fn filled(item: &Item<'_>) -> Option<String> {
    // Neither the environment nor a file system takes these, and the lookup would panic or be cut short.
    item.parse(|text| match text {
        "" => Err("empty".into()),
        _ if text.contains(['=', '\0']) && !text.contains('/') => Err("not a name or path".into()),
        _ if text.contains('\0') => Err("not a name or path".into()),
        _ => Ok(text.to_owned()),
    })
}

fn explain(source: &Source, error: &SourceError) -> String {
    match (source, error) {
        (Source::Env(name), SourceError::EnvMissing) => format!("{} is not set", variable(name)),
        (Source::Env(name), error) => format!("{}: {error}", variable(name)),
        (Source::File(path), SourceError::Io(error)) => {
            format!("cannot read the file{}: {}", named(path), plain(error))
        }
        (Source::File(path), error) => format!("the file{}: {error}", named(path)),
        (Source::Plain(_), error) => error.to_string(),
    }
}

/// A path as it may be shown: what does not look like one may be a secret in the wrong place.
pub(super) fn named(path: &Path) -> String {
    let text = path.to_string_lossy();
    if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
        format!(" {}", super::reader::report::shown(&text))
    } else {
        " named here (relative to the working directory)".into()
    }
}

/// An I/O error in words alone, without `(os error 2)`.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
