//! What a server is to a service.

/// The part that a server plays for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// `upstream`
    Upstream,
    /// `token_url`
    TokenEndpoint,
    /// `issuer`
    Issuer,
    /// `url` of an entry of `secret_stores`
    SecretStore,
    /// `tracing.otlp_endpoint`
    Collector,
    /// `shared.url`
    SharedStore,
    /// A server that a credential comes from: its name, and the key that names it.
    Value(&'static str, &'static str),
    /// A server that the keys for a store of secrets come from: its name, and the key that names it.
    StoreKeys(&'static str, &'static str),
}

impl Role {
    /// The name of the role, for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::TokenEndpoint => "token endpoint",
            Self::Issuer => "issuer",
            Self::SecretStore => "secret store",
            Self::Collector => "collector",
            Self::SharedStore => "shared store",
            Self::Value(name, _) | Self::StoreKeys(name, _) => name,
        }
    }

    /// Whether the time limit on connecting is fixed, and not that of the service.
    pub(crate) fn has_fixed_limit(self) -> bool {
        matches!(self, Self::Collector | Self::SecretStore | Self::StoreKeys(..))
    }

    /// Whether `tls` toward the server may name another host than its URL (`server_name`).
    pub(crate) fn may_have_server_name(self) -> bool {
        matches!(self, Self::Upstream | Self::SharedStore)
    }

    /// The configuration key that names the server.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::TokenEndpoint => "token_url",
            Self::Issuer => "issuer",
            Self::SecretStore => "url",
            Self::Collector => "otlp_endpoint",
            Self::SharedStore => "shared.url",
            Self::Value(_, key) | Self::StoreKeys(_, key) => key,
        }
    }
}
