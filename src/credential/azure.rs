//! What the kinds of credentials for Microsoft's APIs have in common.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key};
use crate::credential::Rejection;
use crate::refresh::{SourceError, SourceErrorKind};

/// The end of a scope that stands for everything that the application was granted at an API.
const DEFAULT: &str = "/.default";

/// The key of the scope.
pub(super) const SCOPE: Key = Key::required(
    "scope",
    Format::Text,
    "The API: its application ID URI and `/.default`, such as `https://cognitiveservices.azure.com/.default`.",
);

/// An API, as the scope of its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope(String);

impl Scope {
    /// Reads [`SCOPE`].
    pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<Self> {
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

    /// The scope itself.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// Parses the ID of a tenant or an application: a GUID, or the domain of a tenant.
pub(super) fn id(text: &str) -> Result<String, String> {
    if text.is_empty()
        || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    {
        return Err("an ID is written as in the portal: 8f2c1d4e-0000-4000-8000-123456789abc".into());
    }
    Ok(text.to_owned())
}

/// What to look at if an API of Microsoft rejects a token, most likely first.
pub(super) fn explain_rejection(rejection: &Rejection<'_>) -> Vec<String> {
    let forbidden = [
        "The token is valid, and its identity may not do this: assign it a role at the resource, such as `Cognitive Services OpenAI \
         User` for Azure OpenAI. A new assignment takes some minutes.",
        "The resource may refuse this network: look at its firewall and its private endpoints.",
    ];
    let unauthorized = [
        "Is `scope` that of this API? Compare `aud` of the token (`sidekey test` shows it): Azure OpenAI and AI services take \
         `https://cognitiveservices.azure.com`.",
        "Is the resource in the same tenant as the identity? Compare `iss` and `tid` of the token.",
        "Azure OpenAI and AI services take tokens at the host of the resource (`https://NAME.openai.azure.com`) alone, not at that of \
         a region.",
        "If a clock is wrong, a token counts as expired or not yet valid: compare its `nbf` and `exp` with the time.",
    ];
    let scheme = rejection.of_scheme("Bearer").into_iter();
    match rejection.status {
        403 => forbidden.map(str::to_owned).to_vec(),
        _ => scheme.chain(unauthorized.map(str::to_owned)).collect(),
    }
}

/// What to look at if a server of Microsoft gives no token and cannot be asked, most likely first.
pub(super) fn explain_connection(error: &SourceError, server: &str) -> Option<String> {
    Some(match error.kind {
        SourceErrorKind::Connect | SourceErrorKind::Timeout => format!(
            "Check that {server} can be reached from here: a network policy or a firewall may be in between. A running Sidekey keeps \
             trying."
        ),
        SourceErrorKind::Tls => {
            format!(
                "Check the certificate of {server}: a proxy that intercepts TLS needs its CA in `tls: {{ ca_file: PATH }}`."
            )
        }
        SourceErrorKind::RateLimited | SourceErrorKind::ServerError => {
            "Microsoft has an error, or limits requests. A running Sidekey keeps trying.".into()
        }
        SourceErrorKind::Malformed => {
            "Another server answers there, such as a proxy or a login page: check the URL in the message."
                .into()
        }
        SourceErrorKind::Local | SourceErrorKind::Refused | SourceErrorKind::LoginRequired => return None,
    })
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
