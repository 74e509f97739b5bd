//! `grant_type: token_exchange` (RFC 8693): the tokens that are exchanged, and what for.

use super::caller_tokens;
use super::caller_tokens::{CALLER_TOKENS, CallerTokenLimits, FROM_CALLER};
use super::client_auth::non_empty;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::secret::SECRET;
use crate::config::reader::suggest::list;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::secret::Source;

/// `grant_type: token_exchange`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenExchange {
    /// The subject token.
    pub subject_token: SubjectToken,
    /// The type of the subject token: a URI (RFC 8693 §3).
    pub subject_token_type: String,
    /// The actor token and its type.
    pub actor_token: Option<(Source, String)>,
    /// The type of the requested token.
    pub requested_token_type: Option<String>,
    /// Names of the services that the token is for.
    pub audience: Vec<String>,
    /// URIs of the services that the token is for (RFC 8707).
    pub resource: Vec<String>,
}

/// `subject_token`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SubjectToken {
    /// A source, which is read for every token request.
    Source(Source),
    /// The token that a caller presents: each caller has a token of its own.
    Caller(CallerTokenLimits),
}

impl TokenExchange {
    /// Whether subject and actor are written in the configuration: they are the same in every process that has it.
    pub fn is_fixed(&self) -> bool {
        let of_subject = match &self.subject_token {
            SubjectToken::Source(source) => source.has_value(),
            SubjectToken::Caller(_) => false,
        };
        of_subject && self.actor_token.as_ref().is_none_or(|(source, _)| source.has_value())
    }
}

/// Keys that only this grant has.
pub(super) const KEYS: Keys = &[
    Key::required(
        "subject_token",
        Format::AnyOf(&[SECRET, FROM_CALLER]),
        "The token that is exchanged (RFC 8693): it is read again for each token request, or it is that of the caller.",
    ),
    CALLER_TOKENS,
    Key::optional("subject_token_type", Format::Text, "Its type: a word such as jwt, or a URI.").or("jwt"),
    Key::optional("actor_token", SECRET, "The party that acts for the subject (RFC 8693)."),
    Key::optional("actor_token_type", Format::Text, "Its type: a word such as jwt, or a URI.").or("jwt"),
    Key::optional("requested_token_type", Format::Text, "The type of token that is requested."),
    Key::optional(
        "audience",
        Format::OneOrMore(&Format::Text),
        "Name of the service that the token is for, or a list.",
    ),
    Key::optional(
        "resource",
        Format::OneOrMore(&Format::Text),
        "URI of the service that the token is for, or a list.",
    ),
];

/// Reads the keys of the grant.
pub(super) fn read(mapping: &mut Mapping<'_>) -> Option<TokenExchange> {
    let subject_token = mapping.required("subject_token");
    let is_from_caller = subject_token.as_ref().is_some_and(caller_tokens::is_from_caller);
    let limits = caller_tokens::limits(mapping, is_from_caller);
    let subject_token = subject_token.and_then(|value| {
        if is_from_caller {
            return caller_tokens::from_caller(&value).map(|()| SubjectToken::Caller(limits));
        }
        secret::source(&value).map(SubjectToken::Source)
    });
    let subject_token_type = match mapping.optional("subject_token_type") {
        Some(value) => token_type(&value),
        None => Some(urn("jwt")),
    };
    let actor_token = mapping.optional("actor_token");
    let actor_token_type = mapping.optional("actor_token_type");
    if let (None, Some(value)) = (&actor_token, &actor_token_type) {
        value.error("this key has no effect without `actor_token`");
    }
    // An error here was reported, so that the whole configuration is rejected.
    let actor_token = actor_token.and_then(|value| {
        let kind = actor_token_type.map_or_else(|| Some(urn("jwt")), |value| token_type(&value));
        Some((secret::source(&value)?, kind?))
    });
    let requested_token_type = mapping.optional("requested_token_type").and_then(|value| token_type(&value));
    let audience = mapping.optional("audience").map_or_else(Vec::new, |value| texts(&value));
    let resource = mapping.optional("resource").map_or_else(Vec::new, |value| texts(&value));
    Some(TokenExchange {
        subject_token: subject_token?,
        subject_token_type: subject_token_type?,
        actor_token,
        requested_token_type,
        audience,
        resource,
    })
}

/// Reads a token type: one of RFC 8693 §3 without the common prefix, or any URI.
fn token_type(value: &Value<'_>) -> Option<String> {
    const WORDS: [&str; 6] = ["jwt", "access_token", "refresh_token", "id_token", "saml1", "saml2"];
    value.parse(|text| match text {
        word if WORDS.contains(&word) => Ok(urn(word)),
        uri if uri.contains(':') && uri.chars().all(|c| c.is_ascii_graphic()) => Ok(uri.to_owned()),
        _ => Err(format!("not a token type; allowed: {}, or a URI", list(WORDS))),
    })
}

fn urn(word: &str) -> String {
    format!("urn:ietf:params:oauth:token-type:{word}")
}

fn texts(value: &Value<'_>) -> Vec<String> {
    value.one_or_more().iter().filter_map(|value| value.parse(non_empty)).collect()
}
