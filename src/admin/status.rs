//! What a service's state is called, how bad it is, and what it means in plain words. Pure: from facts to text.

use serde::Serialize;

use super::history::Verdict;
use crate::refresh::{SourceError, SourceErrorKind};

/// A closed set; the first that applies, from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    /// The token endpoint refused the client or the grant: no waiting helps.
    Refused,
    /// A person must log in first.
    LoginRequired,
    /// The token has ended and no new one could be obtained.
    Expired,
    /// There never was a token, and the last attempt failed.
    Unavailable,
    /// The upstream answers 401 to the credential.
    Rejected,
    /// The upstream cannot be reached or understood.
    Unreachable,
    /// The last refresh failed; the token at hand is still valid.
    Failing,
    /// The first token is on its way.
    Waiting,
    /// All is well.
    Ready,
}

/// How bad it is: a closed set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// Requests fail now.
    Broken,
    /// Requests work, and soon will not.
    Warning,
    /// Starting.
    Waiting,
    /// Nothing to do.
    Ok,
}

/// What is known of a service.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// `None` for a credential that never changes.
    pub(super) token: Option<TokenFacts>,
    pub(super) verdict: Verdict,
    /// What the last request failed of, where the verdict is that the upstream is unreachable.
    pub(super) cause: Option<String>,
}

/// What is known of its token.
#[derive(Debug, Clone)]
pub(super) struct TokenFacts {
    pub(super) usable: bool,
    /// There was one, valid still or not.
    pub(super) ever: bool,
    pub(super) last_error: Option<SourceError>,
}

impl Facts {
    pub(super) fn state(&self) -> State {
        if let Some(token) = &self.token {
            let reason = token.last_error.as_ref().map(|error| error.kind);
            match token {
                _ if reason == Some(SourceErrorKind::Refused) => return State::Refused,
                _ if reason == Some(SourceErrorKind::LoginRequired) => return State::LoginRequired,
                TokenFacts { usable: false, ever: true, .. } => return State::Expired,
                TokenFacts { usable: false, last_error: Some(_), .. } => return State::Unavailable,
                TokenFacts { usable: false, .. } => return State::Waiting,
                _ => {}
            }
        }
        match self.verdict {
            Verdict::Rejected => State::Rejected,
            Verdict::Unreachable(_) => State::Unreachable,
            Verdict::Fine if self.token.as_ref().is_some_and(|token| token.last_error.is_some()) => {
                State::Failing
            }
            Verdict::Fine => State::Ready,
        }
    }

    pub(super) fn severity(&self) -> Severity {
        match self.state() {
            State::Refused | State::LoginRequired
                if self.token.as_ref().is_some_and(|token| token.usable) =>
            {
                Severity::Warning
            }
            State::Refused
            | State::LoginRequired
            | State::Expired
            | State::Unavailable
            | State::Rejected
            | State::Unreachable => Severity::Broken,
            State::Failing => Severity::Warning,
            State::Waiting => Severity::Waiting,
            State::Ready => Severity::Ok,
        }
    }

    /// What is going on, in a sentence or two.
    pub(super) fn summary(&self) -> String {
        let error = self.token.as_ref().and_then(|token| token.last_error.as_ref());
        let why = error.map_or("the token endpoint could not be asked", |error| error.message.as_str());
        match self.state() {
            State::Refused if self.severity() == Severity::Warning => {
                format!(
                    "The identity provider refuses to issue a new token ({why}). Requests work until the current one expires."
                )
            }
            State::Refused => {
                format!("The identity provider refuses to issue a token: {why}. Requests get 503.")
            }
            State::LoginRequired => format!("A person has to log in first: {why}."),
            State::Expired => {
                format!("The token has expired and no new one could be obtained: {why}. Requests get 503.")
            }
            State::Unavailable => format!("No token could be obtained yet: {why}. Requests get 503."),
            State::Rejected => "The upstream answers 401: it does not accept the credential.".into(),
            State::Unreachable => match &self.cause {
                Some(cause) => format!("The upstream cannot be reached: {cause}."),
                None => "The upstream cannot be reached.".into(),
            },
            State::Failing => {
                format!("The last refresh failed: {why}. Requests work until the current token expires.")
            }
            State::Waiting => "The first token is on its way.".into(),
            State::Ready if self.token.is_none() => {
                "Ready. The credential is fixed and needs no refreshing.".into()
            }
            State::Ready => "Ready. The token is refreshed in the background.".into(),
        }
    }

    /// What to do about it; `None` where there is nothing to do.
    pub(super) fn advice(&self) -> Option<&'static str> {
        let error = self.token.as_ref().and_then(|token| token.last_error.as_ref());
        match (self.state(), self.verdict) {
            (State::Ready | State::Waiting, _) => None,
            (State::Rejected, _) if self.token.is_some() => Some(
                "The token is fresh, but the upstream wants another: compare its audience, scopes and environment \
                 (test or live) with `scopes`, `endpoint_params` and `token_url`.",
            ),
            (State::Rejected, _) => Some(
                "The password, token or key is wrong, expired or revoked, or belongs to another environment: \
                 replace it where the configuration reads it from.",
            ),
            (State::Unreachable, Verdict::Unreachable(reason)) => Some(unreachable(reason)),
            _ => error.map(|error| fetching(error.kind)),
        }
    }
}

fn unreachable(reason: &str) -> &'static str {
    match reason {
        "upstream_tls" => {
            "Check the upstream's certificate: its expiry, its names, and the CA in `tls.ca_file`; or `tls.server_name`."
        }
        "upstream_timeout" => {
            "The upstream is slow or a firewall drops connections: check the upstream, then `timeouts` of this service."
        }
        "upstream_protocol" => {
            "What answers there does not speak HTTP, or gives up on requests: check scheme and port in `upstream`."
        }
        _ => {
            "Check that the host name in `upstream` resolves from here and that this machine may connect to its port."
        }
    }
}

fn fetching(reason: SourceErrorKind) -> &'static str {
    match reason {
        SourceErrorKind::Connect => {
            "Check that the host name in `token_url` resolves from here and that this machine may connect to its port. \
             Sidekey keeps trying."
        }
        SourceErrorKind::Tls => {
            "Check the token endpoint's certificate: its expiry, its names, and the CA in `auth.tls.ca_file`."
        }
        SourceErrorKind::Timeout => {
            "The identity provider is slow or a firewall drops connections: check its status page. Sidekey keeps trying."
        }
        SourceErrorKind::RateLimited => {
            "The identity provider limits token requests. Sidekey waits as long as it asks; look for other programs with \
             the same client id."
        }
        SourceErrorKind::ServerError => {
            "The identity provider has a fault of its own: check its status page. Sidekey keeps trying."
        }
        SourceErrorKind::Malformed => {
            "What answers is no token endpoint: check `token_url`, and whether a proxy or a login page answers instead."
        }
        SourceErrorKind::Local => {
            "A token request could not even be made: something that it needs, such as a file, is missing or broken on \
             this machine."
        }
        SourceErrorKind::LoginRequired => "Run `sidekey login SERVICE` with the same configuration.",
        SourceErrorKind::Refused => {
            "Correct `client_id`, `client_secret`, `auth_method` or `scopes` in the configuration, or the client at the \
             identity provider; a secret may have expired there."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(usable: bool, ever: bool, error: Option<SourceErrorKind>, verdict: Verdict) -> Facts {
        let last_error = error.map(|reason| SourceError::new(reason, "it said no"));
        Facts { token: Some(TokenFacts { usable, ever, last_error }), verdict, cause: None }
    }

    #[test]
    fn every_state_is_told_from_the_others() {
        use SourceErrorKind::{Refused, ServerError};
        let fine = Verdict::Fine;
        let fixed = |verdict| Facts { token: None, verdict, cause: Some("no such host".into()) };
        for (facts, state, severity) in [
            (fixed(fine), State::Ready, Severity::Ok),
            (fixed(Verdict::Rejected), State::Rejected, Severity::Broken),
            (fixed(Verdict::Unreachable("upstream_connect")), State::Unreachable, Severity::Broken),
            (token(true, true, None, fine), State::Ready, Severity::Ok),
            (token(false, false, None, fine), State::Waiting, Severity::Waiting),
            (token(false, false, Some(ServerError), fine), State::Unavailable, Severity::Broken),
            (token(true, true, Some(ServerError), fine), State::Failing, Severity::Warning),
            (token(false, true, Some(ServerError), fine), State::Expired, Severity::Broken),
            (token(false, true, None, fine), State::Expired, Severity::Broken),
            (token(false, false, Some(Refused), fine), State::Refused, Severity::Broken),
            (
                token(false, false, Some(SourceErrorKind::LoginRequired), fine),
                State::LoginRequired,
                Severity::Broken,
            ),
            (token(true, true, Some(Refused), fine), State::Refused, Severity::Warning),
            (token(true, true, Some(ServerError), Verdict::Rejected), State::Rejected, Severity::Broken),
        ] {
            assert_eq!((facts.state(), facts.severity()), (state, severity), "{facts:?}");
            assert_eq!(
                facts.advice().is_none(),
                matches!(state, State::Ready | State::Waiting)
                    || facts
                        .token
                        .as_ref()
                        .is_some_and(|t| state == State::Expired && t.last_error.is_none()),
                "{facts:?}"
            );
            assert!(facts.summary().ends_with('.') && !facts.summary().contains(".."), "{}", facts.summary());
        }
        assert!(
            Severity::Broken < Severity::Warning && Severity::Warning < Severity::Ok,
            "broken ones come first"
        );
    }
}
