//! The API that a token is for, and the IDs of identities.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key};

/// The end of a scope that stands for everything that the application was granted at an API.
const DEFAULT: &str = "/.default";

/// The key of the scope.
pub(in crate::credential) const SCOPE: Key = Key::required(
    "scope",
    Format::Text,
    "The API: its application ID URI and `/.default`, such as `https://cognitiveservices.azure.com/.default`.",
);

/// An API, as the scope of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct Scope(String);

impl Scope {
    /// Reads [`SCOPE`].
    pub(in crate::credential) fn read(mapping: &mut Mapping<'_>) -> Option<Self> {
        mapping.required(SCOPE.name)?.parse(Self::parse)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\');
        let Some(resource) = text.strip_suffix(DEFAULT) else {
            return Err("the scope of an application ends in `/.default`, such as \
                        `https://cognitiveservices.azure.com/.default`"
                .into());
        };
        if resource.is_empty() || !resource.chars().all(allowed) {
            return Err("a scope is one word of visible ASCII without quotes and backslashes".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The API: the scope without its end. The application ID URI may end in a slash.
    pub(in crate::credential) fn resource(&self) -> &str {
        self.0.strip_suffix(DEFAULT).unwrap_or(&self.0)
    }

    /// The scope itself.
    pub(in crate::credential) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parses the ID of a tenant or an application: a GUID, or the domain of a tenant.
pub(in crate::credential) fn id(text: &str) -> Result<String, String> {
    if text.is_empty()
        || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    {
        return Err("an ID is written as in the portal: 8f2c1d4e-0000-4000-8000-123456789abc".into());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_ends_in_default() {
        for text in ["https://management.azure.com//.default", "api://8f2c/.default", "8f2c1d4e/.default"] {
            assert_eq!(Scope::parse(text).as_ref().map(Scope::as_str), Ok(text));
        }
        for text in
            ["", "/.default", "https://graph.microsoft.com", "User.Read", "a b/.default", "é/.default"]
        {
            assert!(Scope::parse(text).is_err(), "{text}");
        }
    }
}
