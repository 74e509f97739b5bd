//! Reads a secret: text, or `{ env: NAME }`, `{ file: PATH }` or `{ exec: [COMMAND, …] }`.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::command;
use super::interpolate::variable;
use super::report::display_path;
use super::table::{Definition, Format, Key, Keys};
use super::value::Value;
use crate::config::watched_files::FileKind;
use crate::secret::{Algorithm, Command, Secret, SecretText, SigningKey, Source, SourceError};

/// The format of a secret.
pub const SECRET: Format = Format::Defined(&Definition {
    name: "secret",
    description: "One secret value, and where it is read from.",
    format: Format::AnyOf(&[
        Format::Keys(&[&[FILE.and_required()]]),
        Format::Keys(&[&[ENV.and_required()]]),
        Format::Keys(&[command::KEYS]),
        Format::Defined(&Definition {
            name: "plain_secret",
            description: "The secret itself: allowed, and `sidekey check` warns.",
            format: Format::Text,
        }),
    ]),
});

/// The format of a value that need not be a secret.
pub const VALUE: Format = Format::AnyOf(&[Format::Text, SECRET]);

const FILE: Key = Key::depends(
    "file",
    Format::Text,
    "Path of a file that holds the secret; one newline at its end is not part of it.",
);
const ENV: Key = Key::depends("env", Format::Text, "Name of the environment variable.");

/// The keys that say where a secret is read from: a secret has one of them.
const SOURCES: Keys = &[command::EXEC, ENV, FILE];

/// Reads a secret.
pub fn read(value: &Value<'_>) -> Option<Secret> {
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

/// Reads a value that need not be a secret: text causes no warning.
pub fn any_value(value: &Value<'_>) -> Option<Secret> {
    if value.is_map() {
        return read(value);
    }
    let text = SecretText::verbatim(Zeroizing::new(value.text()?.to_owned()));
    text.into_secret().map_err(|error| value.error(error.to_string())).ok()
}

/// Reads a private key; without an algorithm it is the usual one for the kind of key.
pub fn signing_key(value: &Value<'_>, algorithm: Option<Algorithm>) -> Option<SigningKey> {
    let InlineSource::Source(source) = inline_source(value)? else {
        value.error(
            "a private key cannot be read from a command; write it to a file and use `{ file: PATH }`",
        );
        return None;
    };
    if let Source::File(path) = &source {
        value.watch(path, FileKind::Secret);
    }
    let key = source.signing_key(algorithm, value.environment());
    key.map_err(|error| value.error(explain(&source, &error))).ok()
}

/// The source of a secret that is read again for each use; it must be readable now.
pub fn source(value: &Value<'_>) -> Option<Source> {
    let InlineSource::Source(source) = inline_source(value)? else {
        value.error("read again for each token request, so it cannot be a command; write it to a file and use `{ file: PATH }`");
        return None;
    };
    let secret = source.read_with(value.environment());
    secret.map_err(|error| value.error(explain(&source, &error))).ok()?;
    Some(source)
}

/// Reads a secret all of whose characters are allowed at `place`, the text of the error message.
pub fn read_of(value: &Value<'_>, allowed: fn(char) -> bool, place: &str) -> Option<Secret> {
    let secret = read(value)?;
    if let Some(at) = secret.first_disallowed(allowed) {
        value.error(format!("the character at position {at} of the secret is not allowed in {place}"));
        return None;
    }
    Some(secret)
}

/// A secret as the configuration states it.
enum InlineSource {
    Source(Source),
    Command(Command),
}

fn inline_source(value: &Value<'_>) -> Option<InlineSource> {
    value.check_format("a secret", |format| format.is_defined_as("secret"));
    debug_assert!(
        value.is_in_secret_section(),
        "{} is in no section of `sections::SECRET_SECTIONS`",
        value.path()
    );
    if !value.is_map() {
        if value.is_number() {
            value.error(format!("expected a secret, found a number; put it in quotes, or better: {ALLOWED}"));
            return None;
        }
        let text = value.text()?.to_owned();
        value.warn(
            "the secret is in plain text; `{ file: PATH }` or `{ env: NAME }` keeps it out of the configuration",
        );
        return Some(InlineSource::Source(Source::Plain(text)));
    }
    let mut mapping = value.mapping()?;
    if mapping.has("exec") {
        let command = command::read(&mut mapping);
        let other = SOURCES[1..].iter().find(|key| mapping.has(key.name));
        if let Some(key) = other {
            mapping.allow_unread(std::slice::from_ref(key));
            value.error(format!("both `exec` and `{}` are set; a secret has one source", key.name));
        }
        mapping.reject_unknown_keys();
        return command.filter(|_| other.is_none()).map(InlineSource::Command);
    }
    mapping.allow(SOURCES);
    let (env, file) = (mapping.has("env"), mapping.has("file"));
    let name = mapping.optional("env").and_then(|value| non_empty(&value));
    let path = mapping.optional("file").and_then(|value| non_empty(&value));
    mapping.reject_unknown_keys();
    match (env, file) {
        (true, true) => value.error("both `env` and `file` are set; a secret has one source"),
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
    // Neither the environment nor a file system allows these; a lookup would panic or stop early.
    value.parse(|text| match text {
        "" => Err("empty".into()),
        _ if text.contains(['=', '\0']) && !text.contains('/') => Err("not a valid name or path".into()),
        _ if text.contains('\0') => Err("not a valid name or path".into()),
        _ => Ok(text.to_owned()),
    })
}

fn explain(source: &Source, error: &SourceError) -> String {
    match (source, error) {
        (Source::Env(name), SourceError::EnvMissing) => format!("{} is not set", variable(name)),
        (Source::Env(name), error) => format!("{}: {error}", variable(name)),
        (Source::File(path), SourceError::File(error)) => {
            format!("cannot read the file{}: {error}", display_path(path))
        }
        (Source::File(path), error) => format!("the file{}: {error}", display_path(path)),
        (Source::Plain(_), error) => error.to_string(),
    }
}
