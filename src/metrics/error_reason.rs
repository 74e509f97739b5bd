//! Why Sidekey itself could not serve a request.

/// Why Sidekey itself could not serve: a closed set, the same in the header, the body, the metric and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorReason {
    /// No service matches the request.
    UnknownService,
    /// The request is not allowed: its path leaves the upstream's base path, it names two different servers, or it is a
    /// `TRACE`.
    Forbidden,
    /// A rule of the service denies the request, or none allows it; or no role lets the caller make it.
    Denied,
    /// The caller is not known, or the credential that it presents is not accepted.
    Unauthenticated,
    /// The caller presents a token, and the keys of its issuer are not known yet.
    CallerKeysUnavailable,
    /// The settings of the service have a mistake, or its secret cannot be read, so that it does not run.
    Misconfigured,
    /// The service is disabled (`enabled: false`).
    Disabled,
    /// There is no usable credential, so nothing was forwarded.
    CredentialUnavailable,
    /// The upstream's name does not resolve, or it does not take the connection.
    UpstreamConnect,
    /// The upstream's certificate was not accepted, or the TLS handshake failed.
    UpstreamTls,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The upstream closed the connection without an answer, or answered with something that is not HTTP.
    UpstreamProtocol,
    /// The request is not valid HTTP.
    BadRequest,
    /// The request's head or body is too large.
    TooLarge,
    /// A limit of the service or of Sidekey is reached, or the circuit is open.
    Overloaded,
}

impl ErrorReason {
    /// All reasons, in the order of the documentation.
    pub const ALL: [Self; 15] = [
        Self::UnknownService,
        Self::Forbidden,
        Self::Denied,
        Self::Unauthenticated,
        Self::CallerKeysUnavailable,
        Self::Misconfigured,
        Self::Disabled,
        Self::CredentialUnavailable,
        Self::UpstreamConnect,
        Self::UpstreamTls,
        Self::UpstreamTimeout,
        Self::UpstreamProtocol,
        Self::BadRequest,
        Self::TooLarge,
        Self::Overloaded,
    ];

    /// The value of `Sidekey-Error` and of the metric's `reason` label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownService => "unknown_service",
            Self::Denied => "denied",
            Self::Forbidden => "forbidden",
            Self::Unauthenticated => "unauthenticated",
            Self::CallerKeysUnavailable => "caller_keys_unavailable",
            Self::Misconfigured => "misconfigured",
            Self::Disabled => "disabled",
            Self::CredentialUnavailable => "credential_unavailable",
            Self::UpstreamConnect => "upstream_connect",
            Self::UpstreamTls => "upstream_tls",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamProtocol => "upstream_protocol",
            Self::BadRequest => "bad_request",
            Self::TooLarge => "too_large",
            Self::Overloaded => "overloaded",
        }
    }

    /// Whether it is the upstream that could not be reached or not understood.
    pub fn is_of_upstream(self) -> bool {
        UPSTREAM_REASONS.contains(&self.as_str())
    }
}

/// The names of all reasons.
pub(super) const REASONS: [&str; ErrorReason::ALL.len()] = {
    let mut names = [""; ErrorReason::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = ErrorReason::ALL[index].as_str();
        index += 1;
    }
    names
};

/// The reasons of responses 5xx.
pub(super) const OWN_SERVER_ERRORS: [&str; 6] = [
    ErrorReason::CredentialUnavailable.as_str(),
    ErrorReason::UpstreamConnect.as_str(),
    ErrorReason::UpstreamTls.as_str(),
    ErrorReason::UpstreamTimeout.as_str(),
    ErrorReason::UpstreamProtocol.as_str(),
    ErrorReason::Overloaded.as_str(),
];

/// The reasons that mean: the upstream could not be reached, or not understood.
pub const UPSTREAM_REASONS: [&str; 4] = [
    ErrorReason::UpstreamConnect.as_str(),
    ErrorReason::UpstreamTls.as_str(),
    ErrorReason::UpstreamTimeout.as_str(),
    ErrorReason::UpstreamProtocol.as_str(),
];
