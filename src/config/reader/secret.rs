//! Reads a secret: text, or a mapping with the key of a source, such as `{ env: NAME }`.

use zeroize::Zeroizing;

use super::table::Format;
use super::tree::Kind;
use super::value::{SourceKinds, Value};
use crate::config::watched_files::FileKind;
use crate::secret::{Algorithm, Plain, Secret, SecretText, SigningKey, Source, SourceError, WatchHint};

/// The format of a secret.
pub const SECRET: Format = Format::Secret;

/// The format of a value that need not be a secret.
pub const VALUE: Format = Format::AnyOf(&[Format::Text, SECRET]);

/// Reads a secret.
pub fn read(value: &Value<'_>) -> Option<Secret> {
    let secret = match stated(value)? {
        Stated::Text(text) => text.into_secret().map_err(|error| SourceError::new(error.to_string())),
        Stated::Source(source) => fetch(value, &source).and_then(|text| source.secret_of(text)),
    };
    secret.map_err(|error| value.source_error(&error)).ok()
}

/// The warning about a secret that is written in the configuration.
pub const PLAIN_TEXT: &str =
    "the secret is in plain text; `{ file: PATH }` or `{ env: NAME }` keeps it out of the configuration";

/// Reads a value that need not be a secret: text causes no warning.
pub fn any_value(value: &Value<'_>) -> Option<Secret> {
    if value.is_map() {
        return read(value);
    }
    value.report().note_plain_value(value.node.location);
    let text = SecretText::verbatim(Zeroizing::new(value.text()?.to_owned()));
    text.into_secret().map_err(|error| value.error(error.to_string())).ok()
}

/// Reads a private key; without an algorithm it is the usual one for the kind of key.
pub fn signing_key(value: &Value<'_>, algorithm: Option<Algorithm>) -> Option<SigningKey> {
    let key = match stated(value)? {
        Stated::Text(text) => {
            SigningKey::from_text(&text, algorithm).map_err(|error| SourceError::new(error.to_string()))
        }
        Stated::Source(_) if value.report().secrets().has_placeholders() => {
            SigningKey::placeholder().map_err(|error| SourceError::new(error.to_string()))
        }
        Stated::Source(source) => {
            fetch(value, &source).and_then(|text| source.signing_key_of(&text, algorithm))
        }
    };
    key.map_err(|error| value.source_error(&error)).ok()
}

/// The source of a value that need not be a secret and is fetched again for each use: text causes no warning.
pub fn any_source(value: &Value<'_>) -> Option<Source> {
    if value.is_map() {
        return source(value);
    }
    value.report().note_plain_value(value.node.location);
    let text = SecretText::verbatim(Zeroizing::new(value.text()?.to_owned()));
    let source = Source::new(Plain(text));
    source.secret().map_err(|error| value.source_error(&error)).ok()?;
    Some(source)
}

/// The source of a secret that is fetched again for each use. It must give one now.
pub fn source(value: &Value<'_>) -> Option<Source> {
    let source = match stated(value)? {
        Stated::Text(text) => Source::new(Plain(text)),
        Stated::Source(source) => source,
    };
    value.report().secrets().check(&source).map_err(|error| value.source_error(&error)).ok()?;
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

/// The text that a source gives, now or when it was polled last.
fn fetch(value: &Value<'_>, source: &Source) -> Result<SecretText, SourceError> {
    let report = value.report();
    match source.watch() {
        WatchHint::ContentOf(path) => {
            let stamp = report.watch(&path, FileKind::Secret);
            report.secrets().fetch_file(source, value.path(), stamp)
        }
        WatchHint::Constant | WatchHint::Poll(_) => report.secrets().fetch(source, value.path()),
    }
}

/// A secret as the configuration states it.
enum Stated {
    Text(SecretText),
    Source(Source),
}

fn stated(value: &Value<'_>) -> Option<Stated> {
    value.check_format("a secret", |format| matches!(format, Format::Secret));
    debug_assert!(
        value.is_in_secret_section(),
        "{} is in no section of `sections::SECRET_SECTIONS`",
        value.path()
    );
    let kinds = value.sources();
    if value.is_map() {
        return from_source(value, kinds).map(Stated::Source);
    }
    if value.is_number() {
        value.error(format!(
            "expected a secret, found a number; put it in quotes, or better: {}",
            allowed(kinds)
        ));
        return None;
    }
    let text = Zeroizing::new(value.text()?.to_owned());
    if matches!(value.node.kind, Kind::Text { expanded: false, .. }) && is_placeholder(&text) {
        value.error(format!("a placeholder stands here, not the secret; {}", allowed(kinds)));
        return None;
    }
    value.warn(PLAIN_TEXT);
    Some(Stated::Text(SecretText::verbatim(text)))
}

/// Whether a text stands for a secret that someone forgot to put in its place: `<your-token>`, `{{ token }}`.
fn is_placeholder(text: &str) -> bool {
    let is_within = |open, close| text.len() > 2 && text.starts_with(open) && text.ends_with(close);
    is_within("<", ">") || is_within("{{", "}}")
}

fn from_source(value: &Value<'_>, kinds: SourceKinds) -> Option<Source> {
    let mut mapping = value.mapping()?;
    let present: Vec<_> = kinds.iter().filter(|kind| mapping.has(kind.name())).collect();
    let source = match *present {
        [kind] => {
            mapping.allow(kind.keys);
            (kind.read)(&mut mapping)
        }
        [] => {
            value.error(allowed(kinds));
            None
        }
        [one, other, ..] => {
            value.error(format!(
                "both `{}` and `{}` are set; a secret has one source",
                one.name(),
                other.name()
            ));
            for kind in present {
                mapping.allow_unread(kind.keys);
            }
            None
        }
    };
    // For the message about an unknown key.
    for kind in kinds {
        mapping.allow(std::slice::from_ref(&kind.keys[0]));
    }
    mapping.reject_unknown_keys();
    source
}

fn allowed(kinds: SourceKinds) -> String {
    let forms: Vec<_> = kinds.iter().map(|kind| format!("`{}`", kind.form)).collect();
    format!("a secret is {} or text", forms.join(", "))
}
