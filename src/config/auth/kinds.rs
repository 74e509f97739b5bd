//! What a service injects: one variant for each `type`.

use crate::config::basic_auth::Username;
use crate::config::oauth2::settings::OAuth2;
use crate::secret::Secret;

/// What a service injects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Auth {
    /// `type: basic` (RFC 7617).
    Basic {
        /// User name.
        username: Username,
        /// Password; `None` where `""` says that there is none.
        password: Option<Secret>,
        /// The password before it, for as long as the upstream does not take the new one.
        previous: Option<Secret>,
    },
    /// `type: bearer` (RFC 6750): the bare token; `Bearer ` is written by Sidekey.
    Bearer {
        /// The bare token.
        token: Secret,
        /// The token before it, likewise.
        previous: Option<Secret>,
    },
    /// `type: api_key`.
    ApiKey {
        /// Where the key goes.
        location: KeyLocation,
        /// Written before the key (`prefix`), such as `Token `; may be empty.
        prefix: String,
        /// The key.
        value: Secret,
        /// The key before it, likewise.
        previous: Option<Secret>,
    },
    /// `type: oauth2` (RFC 6749).
    OAuth2(Box<OAuth2>),
}

impl Auth {
    /// The `type` in the configuration, in logs and in tables.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::ApiKey { .. } => "api_key",
            Self::OAuth2(_) => "oauth2",
        }
    }

    /// Whether there is a secret from before a rotation.
    pub fn has_previous(&self) -> bool {
        match self {
            Self::Basic { previous, .. } | Self::Bearer { previous, .. } | Self::ApiKey { previous, .. } => {
                previous.is_some()
            }
            Self::OAuth2(_) => false,
        }
    }
}

/// Where an API key goes: `in` and `name`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyLocation {
    /// A request header.
    Header(http::HeaderName),
    /// A parameter of the query, its name as written (encoded when it is sent).
    Query(String),
    /// A cookie (a token by RFC 6265 §4.1.1).
    Cookie(String),
}
