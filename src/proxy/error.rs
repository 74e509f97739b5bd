//! The one map from an error to the response that the caller gets: status, `Sidekey-Error`,
//! `application/problem+json` (RFC 9457). The response has a short fixed text; the cause is logged once.
//!
//! The status is 401 or 407 only if the configuration has callers, and this one is not known, or if the service exchanges the caller's
//! token. Otherwise an app would take it for an error of its own login.

pub use crate::metrics::ErrorReason;
use crate::upstream::{ConnectError, LimitExceeded};

impl ErrorReason {
    /// The name of the status code, which is `title` and the reason phrase.
    fn title(self) -> &'static str {
        match self {
            Self::UnknownService => "Not Found",
            Self::Forbidden | Self::Denied => "Forbidden",
            Self::Unauthenticated => "Unauthorized",
            Self::CallerKeysUnavailable
            | Self::Misconfigured
            | Self::Disabled
            | Self::CredentialUnavailable
            | Self::Overloaded => "Service Unavailable",
            Self::UpstreamConnect | Self::UpstreamTls | Self::UpstreamProtocol => "Bad Gateway",
            Self::UpstreamTimeout => "Gateway Timeout",
            Self::BadRequest => "Bad Request",
            Self::TooLarge => "Content Too Large",
        }
    }

    /// The status code.
    pub fn status(self) -> u16 {
        match self {
            Self::UnknownService => 404,
            Self::Forbidden | Self::Denied => 403,
            Self::Unauthenticated => 401,
            Self::CallerKeysUnavailable
            | Self::Misconfigured
            | Self::Disabled
            | Self::CredentialUnavailable
            | Self::Overloaded => 503,
            Self::UpstreamConnect | Self::UpstreamTls | Self::UpstreamProtocol => 502,
            Self::UpstreamTimeout => 504,
            Self::BadRequest => 400,
            Self::TooLarge => 413,
        }
    }

    /// The `error` parameter of `Proxy-Status`: a type of the registry of RFC 9209 §2.3.
    fn proxy_error_type(self) -> &'static str {
        match self {
            Self::UnknownService => "destination_not_found",
            Self::Forbidden | Self::Denied | Self::Unauthenticated => "http_request_denied",
            Self::Misconfigured => "proxy_configuration_error",
            Self::Disabled => "destination_unavailable",
            Self::CallerKeysUnavailable | Self::CredentialUnavailable => "proxy_internal_response",
            Self::UpstreamConnect => "destination_unavailable",
            Self::UpstreamTls => "tls_protocol_error",
            Self::UpstreamTimeout => "http_response_timeout",
            Self::UpstreamProtocol => "http_protocol_error",
            Self::BadRequest | Self::TooLarge => "http_request_error",
            Self::Overloaded => "connection_limit_reached",
        }
    }

    /// The text of `detail`: what happened, and who can fix it. It contains nothing of the request.
    fn detail(self) -> &'static str {
        match self {
            Self::UnknownService => {
                "No service of this Sidekey matches the request: the first path segment, the Host, the port or, through a proxy setting, the URL names one."
            }
            Self::Forbidden => {
                "The request's path leaves the base path of the service's upstream, its Host and its target name different servers, or its method is TRACE."
            }
            Self::Denied => {
                "The rules of the service (`allow`, `deny`) or the roles of the caller do not allow this request; nothing was forwarded."
            }
            Self::Unauthenticated => {
                "Sidekey does not know the caller, or does not accept the key or the token that it presents; nothing was forwarded."
            }
            Self::CallerKeysUnavailable => {
                "Sidekey cannot verify the caller's token right now, because it has no keys of the token's issuer; nothing was forwarded."
            }
            Self::Misconfigured => {
                "The configuration of this service has a mistake, or its secret cannot be read; the log of Sidekey and `sidekey check` say which. Nothing was forwarded."
            }
            Self::Disabled => {
                "This service is disabled in the configuration of Sidekey (`enabled: false`); nothing was forwarded."
            }
            Self::CredentialUnavailable => {
                "Sidekey has no usable credential for this service right now and keeps trying to get one; nothing was forwarded."
            }
            Self::UpstreamConnect => "Sidekey cannot connect to the service's upstream.",
            Self::UpstreamTls => "The TLS handshake with the service's upstream failed.",
            Self::UpstreamTimeout => "The service's upstream did not answer in time.",
            Self::UpstreamProtocol => {
                "The service's upstream closed the connection without a response, or its response is not HTTP."
            }
            Self::BadRequest => "Sidekey cannot read this request as HTTP.",
            Self::TooLarge => "The request's head or body is larger than Sidekey accepts.",
            Self::Overloaded => {
                "A limit on requests is reached, or the service's upstream has failed several times in a row; nothing was forwarded."
            }
        }
    }
}

/// The error of one request.
#[derive(Debug, Clone)]
pub struct ProxyError {
    /// The reason, which decides the response.
    pub reason: ErrorReason,
    /// The value of `Retry-After` in seconds, if a later request may succeed.
    pub retry_after: Option<u64>,
    /// The cause for the log. It is not part of the response.
    pub cause: Box<str>,
    /// The text of `detail`, if it says more than the text of the reason.
    pub detail: Option<&'static str>,
    /// Whether the cause names the rule that decided, as the configuration writes it. It is a member of the problem document
    /// then, and has nothing of the request.
    pub is_rule: bool,
    /// The `error` parameter of `Proxy-Status`, if it says more than that of the reason (RFC 9209 §2.3).
    pub proxy_error_type: Option<&'static str>,
    /// How the caller is asked for a credential, if it is.
    pub challenge: Option<Challenge>,
}

/// How a caller is asked for a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// 401 and `WWW-Authenticate`, as a server does. `true`: the credential that it presents is not accepted (RFC 6750 §3.1).
    Server(bool),
    /// 407 and `Proxy-Authenticate`, as a proxy does.
    Proxy,
}

impl Challenge {
    /// The field, with the end of its line.
    fn field(self) -> &'static str {
        match self {
            Self::Server(false) => "WWW-Authenticate: Bearer realm=\"sidekey\"\r\n",
            Self::Server(true) => "WWW-Authenticate: Bearer realm=\"sidekey\", error=\"invalid_token\"\r\n",
            // The scheme that clients know for proxies: the key is the password.
            Self::Proxy => "Proxy-Authenticate: Basic realm=\"sidekey\"\r\n",
        }
    }
}

impl ProxyError {
    /// An error without `Retry-After`.
    pub fn new(reason: ErrorReason, cause: impl Into<String>) -> Self {
        Self {
            reason,
            retry_after: None,
            cause: cause.into().into_boxed_str(),
            detail: None,
            is_rule: false,
            proxy_error_type: None,
            challenge: None,
        }
    }

    /// The error of a request that the credential cannot sign, for this reason.
    pub(super) fn refused(why: &'static str) -> Self {
        Self { detail: Some(why), ..Self::new(ErrorReason::BadRequest, why) }
    }

    /// The status code.
    pub(super) fn status(&self) -> u16 {
        if self.challenge == Some(Challenge::Proxy) { 407 } else { self.reason.status() }
    }

    /// The name of the status code.
    fn title(&self) -> &'static str {
        if self.challenge == Some(Challenge::Proxy) {
            "Proxy Authentication Required"
        } else {
            self.reason.title()
        }
    }

    /// The rule that decided, if one did.
    pub(super) fn rule(&self) -> Option<&str> {
        self.is_rule.then_some(&*self.cause)
    }

    /// The error for a request on a listener whose service was removed.
    pub(super) fn service_removed() -> Self {
        Self::new(ErrorReason::UnknownService, "the service of this listener was removed")
    }

    /// Writes the whole response. The response to `HEAD` has the length of the body, and no body.
    pub(super) fn write(&self, out: &mut Vec<u8>, is_head: bool, keep_alive: bool, id: Option<&str>) {
        self.write_listing(out, is_head, keep_alive, id, &[]);
    }

    /// Writes the response with the names of services as a further member of the problem document.
    pub(super) fn write_listing(
        &self,
        out: &mut Vec<u8>,
        is_head: bool,
        keep_alive: bool,
        id: Option<&str>,
        services: &[&str],
    ) {
        let reason = self.reason;
        let (name, status, title, detail) =
            (reason.as_str(), self.status(), self.title(), self.detail.unwrap_or(reason.detail()));
        // The name of a service needs no escaping.
        let services = if services.is_empty() {
            String::new()
        } else {
            format!(",\"services\":[\"{}\"]", services.join("\",\""))
        };
        let rule = self
            .rule()
            .map(|rule| format!(",\"rule\":{}", serde_json::Value::from(rule)))
            .unwrap_or_default();
        // An identifier needs no escaping, either.
        let request_id = id.map(|id| format!(",\"request_id\":\"{id}\"")).unwrap_or_default();
        let body = format!(
            "{{\"type\":\"urn:sidekey:error:{name}\",\"title\":\"{title}\",\"status\":{status},\"detail\":\"{detail}\"{rule}{services}{request_id}}}\n"
        );
        let error_type = self.proxy_error_type.unwrap_or(reason.proxy_error_type());
        let retry = self.retry_after.map(|seconds| format!("Retry-After: {seconds}\r\n")).unwrap_or_default();
        let challenge = self.challenge.map_or("", Challenge::field);
        let connection = if keep_alive { "" } else { "Connection: close\r\n" };
        out.extend_from_slice(
            format!(
                "HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nContent-Length: {}\r\nSidekey-Error: {name}\r\n\
                 Proxy-Status: sidekey; error={error_type}\r\nCache-Control: no-store\r\n{retry}{challenge}{connection}\r\n",
                body.len()
            )
            .as_bytes(),
        );
        if !is_head {
            out.extend_from_slice(body.as_bytes());
        }
    }
}

/// The problem detail of a request for which no connection can be opened.
pub(super) const NO_DESCRIPTOR: &str =
    "Sidekey has no file descriptor left for a connection to the upstream; nothing was forwarded.";

impl From<ConnectError> for ProxyError {
    fn from(error: ConnectError) -> Self {
        if !error.is_of_upstream() {
            return Self {
                retry_after: Some(1),
                detail: Some(NO_DESCRIPTOR),
                proxy_error_type: Some("proxy_internal_error"),
                ..Self::new(ErrorReason::Overloaded, error.to_string())
            };
        }
        let (reason, error_type) = match error {
            ConnectError::Dns { .. } => (ErrorReason::UpstreamConnect, "dns_error"),
            ConnectError::Tcp(_) => (ErrorReason::UpstreamConnect, "connection_refused"),
            ConnectError::Proxy { .. } => (ErrorReason::UpstreamConnect, "destination_unavailable"),
            ConnectError::Tls { .. } => (ErrorReason::UpstreamTls, "tls_certificate_error"),
            ConnectError::Version { .. } | ConnectError::Http2 { .. } | ConnectError::Upgrade => {
                (ErrorReason::UpstreamProtocol, "http_protocol_error")
            }
            ConnectError::Exhausted { .. } => (ErrorReason::Overloaded, "proxy_internal_error"),
            ConnectError::Timeout { .. } => (ErrorReason::UpstreamTimeout, "connection_timeout"),
        };
        Self { proxy_error_type: Some(error_type), ..Self::new(reason, error.to_string()) }
    }
}

impl From<LimitExceeded> for ProxyError {
    fn from(exceeded: LimitExceeded) -> Self {
        let seconds = exceeded.retry_after.as_millis().div_ceil(1000).max(1);
        let retry_after = Some(u64::try_from(seconds).unwrap_or(u64::MAX));
        Self { retry_after, ..Self::new(ErrorReason::Overloaded, exceeded.cause) }
    }
}

impl ProxyError {
    /// Whether the upstream is the cause.
    pub(super) fn is_of_upstream(&self) -> bool {
        self.reason.is_of_upstream()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(failure: &ProxyError, is_head: bool) -> (String, String) {
        let mut out = Vec::new();
        failure.write(&mut out, is_head, false, None);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }

    #[test]
    fn every_reason_is_a_problem_document() {
        for reason in ErrorReason::ALL {
            let (head, body) = written(&ProxyError::new(reason, "cause"), false);
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["status"], reason.status());
            assert!(head.contains(&format!("\r\nSidekey-Error: {}\r\n", reason.as_str())));
            assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
            let status = format!("\r\nProxy-Status: sidekey; error={}\r\n", reason.proxy_error_type());
            assert!(head.contains(&status), "{head}");
            // An app would take 401 for an error of its own login, which it is with callers only.
            assert_eq!([401, 407].contains(&reason.status()), reason == ErrorReason::Unauthenticated);
        }
    }

    #[test]
    fn unknown_caller_is_asked_for_a_credential() {
        for (challenge, status, field) in [
            (Challenge::Server(false), "401 Unauthorized", "WWW-Authenticate: Bearer realm=\"sidekey\""),
            (
                Challenge::Proxy,
                "407 Proxy Authentication Required",
                "Proxy-Authenticate: Basic realm=\"sidekey\"",
            ),
        ] {
            let failure = ProxyError {
                challenge: Some(challenge),
                ..ProxyError::new(ErrorReason::Unauthenticated, "cause")
            };
            let (head, body) = written(&failure, false);
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status}\r\n"))
                    && head.contains(&format!("\r\n{field}\r\n")),
                "{head}"
            );
            let problem: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(problem["status"], failure.status());
        }
    }

    #[test]
    fn error_response_omits_the_cause() {
        let failure = ProxyError {
            retry_after: Some(7),
            ..ProxyError::new(ErrorReason::CredentialUnavailable, "CAUSE")
        };
        let (head, body) = written(&failure, false);
        assert!(!head.contains("CAUSE") && !body.contains("CAUSE"));
        assert!(head.contains("\r\nRetry-After: 7"));
        assert_eq!(written(&failure, true).1, "");
    }
}
