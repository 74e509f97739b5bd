//! The settings of a GitHub App, and how they are read.

use serde_json::{Map, Value as Json};

use super::installation;
use super::installation::Installation;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys, Names};
use crate::config::reader::value::Value;
use crate::config::{API_URL, CredentialServer, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS};
use crate::secret::{Algorithm, SigningKey};

/// GitHub's API.
const GITHUB: &str = "https://api.github.com";

/// The limit on `repositories`, which is GitHub's.
const MAX_REPOSITORIES: usize = 500;

/// The settings of a GitHub App.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The app: its ID or its client ID.
    pub app_id: String,
    /// The private key of the app.
    pub key: SigningKey,
    /// Whose installation it is.
    pub installation: Installation,
    /// Names of repositories that the token is for; empty: all that the installation has.
    pub repositories: Vec<String>,
    /// What the token may; empty: all that the installation may.
    pub permissions: Map<String, Json>,
    /// The API.
    pub api: CredentialServer,
}

const APP_ID: Format = Format::AnyOf(&[Format::Text, Format::Number(1, u64::MAX)]);

const PERMISSIONS: Format = Format::Names(&Names::of(Format::Words(&LEVELS)));

const LEVELS: [(&str, &str); 3] = [("read", "read"), ("write", "write"), ("admin", "admin")];

/// The keys beside `type`.
pub(super) const KEYS: Keys = &[
    Key::required("app_id", APP_ID, "ID or client ID of the app."),
    Key::required("private_key", SECRET, "The private key of the app, in PEM."),
    Key::optional("installation_id", Format::Number(1, u64::MAX), "ID of the installation."),
    Key::optional(
        "owner",
        Format::Text,
        "In place of `installation_id`: the organization or user that has it.",
    ),
    Key::optional(
        "repository",
        Format::Text,
        "In place of `installation_id`: a repository that has it, as `OWNER/NAME`.",
    ),
    Key::optional(
        "repositories",
        Format::OneOrMore(&Format::Text),
        "Names of the repositories that the token is for.",
    ),
    Key::optional(
        "permissions",
        PERMISSIONS,
        "What the token may: `read`, `write` or `admin` for each permission.",
    ),
    API_URL,
    SERVER_TLS,
    SERVER_PROXY,
    SERVER_PLAINTEXT,
];

/// Reads the settings.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Settings> {
    let app_id = mapping.required("app_id").and_then(|value| app_id(&value));
    let key = mapping.required("private_key");
    let installation = installation::read(mapping);
    let repositories = mapping.optional("repositories").map(|value| repositories(&value));
    let permissions = mapping.optional("permissions").map(|value| permissions(&value));
    let api = CredentialServer::read(mapping, GITHUB);
    // GitHub takes RS256 alone.
    let key = key.and_then(|value| secret::signing_key(&value, Some(Algorithm::Rs256)));
    Some(Settings {
        app_id: app_id?,
        key: key?,
        installation: installation?,
        repositories: repositories.unwrap_or_else(|| Some(Vec::new()))?,
        permissions: permissions.unwrap_or_else(|| Some(Map::new()))?,
        api: api?,
    })
}

/// An ID has digits, and a client ID letters and a dot as well.
fn app_id(value: &Value<'_>) -> Option<String> {
    let text = if value.is_number() { value.number()?.to_string() } else { value.text()?.to_owned() };
    let is_valid = |c: char| c.is_ascii_alphanumeric() || c == '.';
    if text.is_empty() || !text.chars().all(is_valid) {
        value.error("an app ID such as 123456, or a client ID such as Iv1.8a61f9b3a7aba766");
        return None;
    }
    Some(text)
}

fn repositories(value: &Value<'_>) -> Option<Vec<String>> {
    let names: Vec<_> = value.one_or_more().iter().map(|value| value.parse(repository_name)).collect();
    if names.len() > MAX_REPOSITORIES {
        value.error(format!("at most {MAX_REPOSITORIES} repositories"));
        return None;
    }
    names.into_iter().collect()
}

fn repository_name(text: &str) -> Result<String, String> {
    if text.contains('/') {
        return Err("the name of a repository without its owner".into());
    }
    installation::segment(text)
}

fn permissions(value: &Value<'_>) -> Option<Map<String, Json>> {
    let permission =
        |(name, value): &(&str, Value<'_>)| Some(((*name).to_owned(), value.one_of(&LEVELS)?.into()));
    value.entries()?.iter().map(permission).collect()
}
