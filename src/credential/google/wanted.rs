//! What is requested of Google: an access token for its own APIs, or an ID token for a service that verifies one.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key};

/// The key of the scopes.
pub(in crate::credential) const SCOPES: Key = Key::optional(
    "scopes",
    Format::OneOrMore(&Format::Text),
    "Scopes of an access token. Default: https://www.googleapis.com/auth/cloud-platform.",
);

/// The key of the audience.
pub(in crate::credential) const AUDIENCE: Key = Key::optional(
    "audience",
    Format::Text,
    "In place of `scopes`: the audience of an ID token, such as the URL of Cloud Run.",
);

/// The scope of everything that IAM allows.
const CLOUD_PLATFORM: &str = "https://www.googleapis.com/auth/cloud-platform";

/// The kind of token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) enum Wanted {
    /// An access token with these scopes; one at least.
    AccessToken(Vec<String>),
    /// An ID token for this audience.
    IdToken(String),
}

impl Wanted {
    /// Reads [`SCOPES`] and [`AUDIENCE`].
    pub(in crate::credential) fn read(mapping: &mut Mapping<'_>) -> Option<Self> {
        match (mapping.optional(SCOPES.name), mapping.optional(AUDIENCE.name)) {
            (Some(_), Some(audience)) => {
                audience.error("both `scopes` and `audience` are set: an access token has scopes, and an ID token an audience");
                None
            }
            (None, Some(audience)) => audience.parse(self::audience).map(Self::IdToken),
            (Some(scopes), None) => {
                // Every scope is parsed, so that each error is reported.
                let scopes: Vec<_> = scopes.one_or_more().iter().map(|value| value.parse(scope)).collect();
                scopes.into_iter().collect::<Option<_>>().map(Self::AccessToken)
            }
            (None, None) => Some(Self::AccessToken(vec![CLOUD_PLATFORM.into()])),
        }
    }
}

fn scope(text: &str) -> Result<String, String> {
    // The metadata server takes a comma for the end of a scope.
    let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | ',');
    if text.is_empty() || !text.chars().all(is_allowed) {
        return Err(
            "a scope is one word of visible ASCII: `https://www.googleapis.com/auth/devstorage.read_only`"
                .into(),
        );
    }
    Ok(text.to_owned())
}

fn audience(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) {
        return Err(
            "an audience is one word of visible ASCII, such as `https://reports-abc.a.run.app`".into()
        );
    }
    Ok(text.to_owned())
}
