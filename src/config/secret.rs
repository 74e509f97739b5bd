//! A secret in the file: where it is read from, and reading it.

use std::path::{Path, PathBuf};

use super::FileKind;
use super::command;
use super::reader::interpolate::variable;
use super::reader::value::Value;
use crate::secret::{Algorithm, Command, Secret, SigningKey, Source, SourceError};

/// Reads the secret an item names or is.
pub(super) fn read(value: &Value<'_>) -> Option<Secret> {
    match inline_source(value)? {
        InlineSource::Command(command) => {
            let secret = value.report().commands().secret(&command);
            secret.map_err(|error| value.error(error.to_string())).ok()
        }
        InlineSource::Source(source) => {
            if let Source::File(path) = &source {
                value.watch(path, FileKind::Secret);
            }
            let secret = source.read_with(value.environment());
            secret.map_err(|error| value.error(explain(&source, &error))).ok()
        }
    }
}

/// Reads a value that may be a secret and may be none: text is nothing to warn of.
pub(super) fn any_value(value: &Value<'_>) -> Option<Secret> {
    if value.is_map() {
        return read(value);
    }
    value.parse(|text| Secret::new(text.to_owned()).map_err(|error| error.to_string()))
}

/// Reads the private key an item names or is.
pub(super) fn signing_key(value: &Value<'_>, algorithm: Option<Algorithm>) -> Option<SigningKey> {
    let InlineSource::Source(source) = inline_source(value)? else {
        value
            .error("a private key has many lines and is not read from a command; let one write it to a file");
        return None;
    };
    if let Source::File(path) = &source {
        value.watch(path, FileKind::Secret);
    }
    let key = source.signing_key(algorithm, value.environment());
    key.map_err(|error| value.error(explain(&source, &error))).ok()
}

/// The place a secret is read from whenever it is needed, which must be readable now.
pub(super) fn source(value: &Value<'_>) -> Option<Source> {
    let InlineSource::Source(source) = inline_source(value)? else {
        value.error("read anew for each token request, so no command; one that writes it to a file does it");
        return None;
    };
    let secret = source.read_with(value.environment());
    secret.map_err(|error| value.error(explain(&source, &error))).ok()?;
    Some(source)
}

/// Reads a secret and holds it to the characters that may stand where it goes.
pub(super) fn read_of(value: &Value<'_>, allowed: fn(char) -> bool, place: &str) -> Option<Secret> {
    let secret = read(value)?;
    if let Some(at) = secret.first_disallowed(allowed) {
        value.error(format!("the character at position {at} of the secret cannot stand in {place}"));
        return None;
    }
    Some(secret)
}

/// A secret as the file has it.
enum InlineSource {
    Source(Source),
    Command(Command),
}

fn inline_source(value: &Value<'_>) -> Option<InlineSource> {
    if !value.is_map() {
        if value.is_number() {
            value.error(format!("expected a secret, found a number; put it in quotes, or better: {ALLOWED}"));
            return None;
        }
        let text = value.text()?.to_owned();
        value.warn(
            "a secret in plain text; `{ file: PATH }` or `{ env: NAME }` keeps it out of the configuration",
        );
        return Some(InlineSource::Source(Source::Plain(text)));
    }
    let mut mapping = value.clone().private().mapping()?;
    if mapping.has("exec") {
        let command = command::read(&mut mapping);
        let other = ["env", "file"].into_iter().find(|key| mapping.has(key));
        if let Some(other) = other {
            mapping.optional(other);
            value.error(format!("both `exec` and `{other}`; a secret is read from one place"));
        }
        mapping.reject_unknown_keys();
        return command.filter(|_| other.is_none()).map(InlineSource::Command);
    }
    // Known, and not there.
    mapping.optional("exec");
    let (env, file) = (mapping.has("env"), mapping.has("file"));
    let name = mapping.optional("env").and_then(|value| non_empty(&value));
    let path = mapping.optional("file").and_then(|value| non_empty(&value));
    mapping.reject_unknown_keys();
    match (env, file) {
        (true, true) => value.error("both `env` and `file`; a secret is read from one place"),
        (false, false) => value.error(ALLOWED),
        _ => {}
    }
    match (name, path) {
        (Some(name), None) if !file => Some(InlineSource::Source(Source::Env(name))),
        (None, Some(path)) if !env => Some(InlineSource::Source(Source::File(PathBuf::from(path)))),
        _ => None,
    }
}

const ALLOWED: &str = "a secret is `{ file: PATH }`, `{ env: NAME }`, `{ exec: [COMMAND, …] }` or text";

fn non_empty(value: &Value<'_>) -> Option<String> {
    // Neither the environment nor a file system takes these, and the lookup would panic or be cut short.
    value.parse(|text| match text {
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
            format!("cannot read the file{}: {}", display_path(path), plain(error))
        }
        (Source::File(path), error) => format!("the file{}: {error}", display_path(path)),
        (Source::Plain(_), error) => error.to_string(),
    }
}

/// A path as it may be shown: what does not look like one may be a secret in the wrong place.
pub(super) fn display_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    if ["/", "./", "../"].iter().any(|start| text.starts_with(start)) {
        format!(" {}", super::reader::report::sanitize(&text))
    } else {
        " named here (relative to the working directory)".into()
    }
}

/// An I/O error in words alone, without `(os error 2)`.
pub(super) fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
