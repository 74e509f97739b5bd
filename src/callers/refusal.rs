//! Why a request is refused.

use std::fmt;

/// Why a request is refused: a closed set, the same in the metric, the audit log and the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The caller is not known, and presents no credential.
    NoCredential,
    /// No caller has the key.
    UnknownKey,
    /// More than one field presents a credential.
    SeveralCredentials,
    /// A field presents a credential that cannot be read.
    MalformedCredential,
    /// The key or the token is a caller's, and the connection is not.
    OtherConnection,
    /// The token is no signed JWT, or has a header that is not allowed.
    TokenMalformed,
    /// The token is signed with a key that its issuer does not have.
    TokenUnknownKey,
    /// The signature of the token is wrong.
    TokenSignature,
    /// The token has expired, or does not say when it does.
    TokenExpired,
    /// The token is not valid yet.
    TokenNotYetValid,
    /// No caller has a token with this issuer, audience and claims.
    TokenClaims,
    /// The keys of the issuer are not known yet.
    KeysUnavailable,
    /// No role lets the caller use the service.
    NoRole,
    /// The rules of the roles or of the service do not allow the request.
    Rule,
    /// A limit of the caller is reached.
    Limit,
}

impl Refusal {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::NoCredential,
        Self::UnknownKey,
        Self::SeveralCredentials,
        Self::MalformedCredential,
        Self::OtherConnection,
        Self::TokenMalformed,
        Self::TokenUnknownKey,
        Self::TokenSignature,
        Self::TokenExpired,
        Self::TokenNotYetValid,
        Self::TokenClaims,
        Self::KeysUnavailable,
        Self::NoRole,
        Self::Rule,
        Self::Limit,
    ];

    /// The value of the label `reason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoCredential => "no_credential",
            Self::UnknownKey => "unknown_key",
            Self::SeveralCredentials => "several_credentials",
            Self::MalformedCredential => "malformed_credential",
            Self::OtherConnection => "other_connection",
            Self::TokenMalformed => "token_malformed",
            Self::TokenUnknownKey => "token_unknown_key",
            Self::TokenSignature => "token_signature",
            Self::TokenExpired => "token_expired",
            Self::TokenNotYetValid => "token_not_yet_valid",
            Self::TokenClaims => "token_claims",
            Self::KeysUnavailable => "keys_unavailable",
            Self::NoRole => "no_role",
            Self::Rule => "rule",
            Self::Limit => "limit",
        }
    }

    /// Whether the request presents a credential, and it is not accepted.
    pub fn is_of_credential(self) -> bool {
        !matches!(self, Self::NoCredential | Self::NoRole | Self::Rule | Self::Limit)
    }
}

impl fmt::Display for Refusal {
    /// What is wrong, without anything of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoCredential => "the caller is not known, and the request presents no credential",
            Self::UnknownKey => "no caller has the key that the request presents",
            Self::SeveralCredentials => "more than one field presents a credential",
            Self::MalformedCredential => "the credential cannot be read",
            Self::OtherConnection => "the credential is that of a caller whose connections are others",
            Self::TokenMalformed => "the token is no signed JWT, or its header is not allowed",
            Self::TokenUnknownKey => "the issuer has no key by which the token is signed",
            Self::TokenSignature => "the signature of the token is wrong",
            Self::TokenExpired => "the token has expired, or has no `exp`",
            Self::TokenNotYetValid => "the token is not valid yet",
            Self::TokenClaims => "no caller has a token with this issuer, audience and claims",
            Self::KeysUnavailable => "the keys of the token's issuer are not known yet",
            Self::NoRole => "no role lets the caller use the service",
            Self::Rule => "the rules do not allow the request",
            Self::Limit => "a limit of the caller is reached",
        })
    }
}
