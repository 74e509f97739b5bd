//! `token_type` (RFC 6749 §7.1): whether an issued token can be sent as it is.

use serde_json::{Map, Value};

use super::redact::Redactor;
use crate::oauth2::sanitize::sanitize;

/// The expected `token_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenType {
    /// A bearer token (RFC 6750).
    Bearer,
    /// A token that is bound to a key (RFC 9449).
    Dpop,
}

/// What providers call bearer tokens, as [`word`] changes a name: AWS, Slack, DigitalOcean's registry and
/// older servers.
const BEARER_ALIASES: [&str; 10] =
    ["bearer", "bearertoken", "bearerauth", "bot", "user", "token", "accesstoken", "jwt", "oauth", "oauth2"];

impl TokenType {
    /// The scheme in `Authorization`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    /// Whether a word in front of a token is a scheme, and no part of the token.
    pub(super) fn is_scheme(self, word: &str) -> bool {
        match self {
            Self::Bearer => {
                ["bearer", "token", "jwt", "oauth"].iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
            }
            Self::Dpop => word.eq_ignore_ascii_case("dpop"),
        }
    }

    /// What is wrong with the `token_type` of an answer, if it is not this one. It may be missing. `accepted`
    /// is a name that the configuration accepts for a bearer token.
    ///
    /// Any other type needs more than a header. A token exchange answers `N_A` if it issued something else
    /// than an access token (RFC 8693 §2.2.1), such as an ID token that an API accepts.
    pub(super) fn reject(
        self,
        members: &Map<String, Value>,
        accepted: Option<&str>,
        redactor: &Redactor,
    ) -> Option<String> {
        let found = match members.get("token_type") {
            None | Some(Value::Null) => return None,
            Some(Value::String(found)) => found,
            Some(_) => return Some("the token endpoint issued a token whose token_type is no text".into()),
        };
        let name = word(found);
        let is_exchanged = name == "na" && members.contains_key("issued_token_type");
        let is_accepted = match self {
            Self::Bearer => {
                let is_configured = accepted.is_some_and(|accepted| word(accepted) == name);
                is_configured || BEARER_ALIASES.contains(&urn_name(found).as_str())
            }
            Self::Dpop => name == "dpop",
        };
        if name.is_empty() || is_exchanged || is_accepted {
            return None;
        }
        let hint = match self {
            Self::Dpop => "; remove `dpop` if this endpoint does not bind tokens to keys",
            Self::Bearer if name == "dpop" => "; `dpop: true` makes the proofs for it",
            Self::Bearer => "; if the API accepts it as a bearer token, name it in `accept_token_type`",
        };
        let (found, wanted) = (sanitize(redactor.apply(found)), self.as_str());
        Some(format!("the token endpoint issued a token of type {found}, which is not {wanted}{hint}"))
    }
}

/// A name of a type without case, white space and punctuation.
fn word(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The name of a type, also of one that is a URN (RFC 8693 §3).
fn urn_name(name: &str) -> String {
    let name = name.trim();
    let urn = "urn:ietf:params:oauth:token-type:";
    match name.get(..urn.len()) {
        Some(start) if start.eq_ignore_ascii_case(urn) => word(&name[urn.len()..]),
        _ => word(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reject(wanted: TokenType, members: &Value, accepted: Option<&str>) -> Option<String> {
        wanted.reject(members.as_object().unwrap(), accepted, &Redactor::default())
    }

    #[test]
    fn token_type_of_a_bearer_token_has_many_names() {
        for name in [
            "Bearer",
            "bearer",
            "BEARER",
            "Bearer ",
            " bearer\n",
            "",
            "BearerToken",
            "bearer_token",
            "Bearer Token",
            "bot",
            "user",
            "JWT",
            "access_token",
            "urn:ietf:params:oauth:token-type:jwt",
        ] {
            assert_eq!(reject(TokenType::Bearer, &json!({ "token_type": name }), None), None, "{name}");
        }
        assert_eq!(reject(TokenType::Bearer, &json!({}), None), None);
        assert_eq!(reject(TokenType::Bearer, &json!({ "token_type": null }), None), None);
        let exchanged = json!({ "token_type": "N_A", "issued_token_type": "urn:x" });
        assert_eq!(reject(TokenType::Bearer, &exchanged, None), None);
    }

    #[test]
    fn token_type_that_needs_more_is_rejected_with_advice() {
        for name in ["mac", "pop", "N_A", "hok", "signed", "urn:ietf:params:oauth:token-type:saml2"] {
            let rejected = reject(TokenType::Bearer, &json!({ "token_type": name }), None).unwrap();
            assert!(rejected.contains(name) && rejected.contains("`accept_token_type`"), "{rejected}");
            assert_eq!(reject(TokenType::Bearer, &json!({ "token_type": name }), Some(name)), None);
        }
        let dpop = reject(TokenType::Bearer, &json!({ "token_type": "DPoP" }), None).unwrap();
        assert!(dpop.contains("`dpop: true`"), "{dpop}");
        assert!(reject(TokenType::Bearer, &json!({ "token_type": 7 }), None).is_some());
        assert_eq!(reject(TokenType::Dpop, &json!({ "token_type": "dpop " }), None), None);
        assert!(reject(TokenType::Dpop, &json!({ "token_type": "Bearer" }), Some("Bearer")).is_some());
    }
}
