//! The status of a service, its severity, and a summary and suggestion in plain words. Pure functions.

use serde::Serialize;
use utoipa::ToSchema;

use super::history::UpstreamStatus;
use crate::config::InactiveReason;
use crate::refresh::{SourceError, SourceErrorKind};

/// The status of a service, the first that applies:
///
/// - `refused`: the token endpoint refused the client or the grant; waiting does not help.
/// - `login_required`: a user must log in first.
/// - `expired`: the token has expired and no new one could be obtained.
/// - `unavailable`: no token was ever issued, and the last token request failed.
/// - `unauthorized`: the upstream answers 401 to the credential.
/// - `unreachable`: the upstream cannot be reached or understood.
/// - `upstream_failing`: the upstream answers 5xx.
/// - `at_risk`: the refresh token cannot be written to `state.dir`; the current token is still valid.
/// - `degraded`: the last refresh failed; the current token is still valid.
/// - `starting`: the first token was requested and is not there yet.
/// - `ready`: the service works.
/// - `misconfigured`: its configuration has a mistake, or its secret cannot be read; it does not run.
/// - `disabled`: `enabled: false`; it does not run.
// A list in place of comments on the variants, because the API's document has the comment of the type only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = State)]
pub(super) enum ServiceStatus {
    Refused,
    LoginRequired,
    Expired,
    Unavailable,
    Unauthorized,
    Unreachable,
    UpstreamFailing,
    AtRisk,
    Degraded,
    Starting,
    Ready,
    Misconfigured,
    Disabled,
}

/// The severity of a status:
///
/// - `error`: requests fail now.
/// - `warning`: requests work now, and will fail soon.
/// - `starting`: the first token was requested and is not there yet.
/// - `ok`: nothing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    Error,
    Warning,
    Starting,
    Ok,
}

/// What the status of a service is derived from.
#[derive(Debug, Clone)]
pub(super) struct StatusInputs {
    /// `None` for a static credential.
    pub(super) token: Option<TokenInputs>,
    pub(super) upstream_status: UpstreamStatus,
    /// Why the last request failed, if the upstream is unreachable.
    pub(super) cause: Option<String>,
    /// What to do about the status of the upstream.
    pub(super) upstream_advice: Vec<String>,
    /// What will break soon, or makes failures likely, whatever the state is.
    pub(super) warnings: Vec<String>,
    /// Why it does not run, if it does not.
    pub(super) inactive: Option<InactiveReason>,
    /// Whether its settings on disk have a mistake.
    pub(super) has_mistake: bool,
}

/// The token part of the inputs.
#[derive(Debug, Clone)]
pub(super) struct TokenInputs {
    pub(super) usable: bool,
    /// Whether a token was ever issued, expired or not.
    pub(super) issued: bool,
    pub(super) last_error: Option<SourceError>,
    /// What to do about the last error.
    pub(super) advice: Vec<String>,
    /// What may make the next token unobtainable.
    pub(super) risk: Option<String>,
}

impl StatusInputs {
    pub(super) fn state(&self) -> ServiceStatus {
        match self.inactive {
            Some(InactiveReason::Misconfigured | InactiveReason::AwaitsStore) => {
                return ServiceStatus::Misconfigured;
            }
            Some(InactiveReason::Disabled) => return ServiceStatus::Disabled,
            None => {}
        }
        if let Some(token) = &self.token {
            let reason = token.last_error.as_ref().map(|error| error.kind);
            match token {
                _ if reason == Some(SourceErrorKind::Refused) => return ServiceStatus::Refused,
                _ if reason == Some(SourceErrorKind::LoginRequired) => return ServiceStatus::LoginRequired,
                TokenInputs { usable: false, issued: true, .. } => return ServiceStatus::Expired,
                TokenInputs { usable: false, last_error: Some(_), .. } => return ServiceStatus::Unavailable,
                TokenInputs { usable: false, .. } => return ServiceStatus::Starting,
                _ => {}
            }
        }
        match self.upstream_status {
            UpstreamStatus::Unauthorized => ServiceStatus::Unauthorized,
            UpstreamStatus::Unreachable(_) => ServiceStatus::Unreachable,
            UpstreamStatus::Failing => ServiceStatus::UpstreamFailing,
            UpstreamStatus::Healthy => match &self.token {
                Some(TokenInputs { risk: Some(_), .. }) => ServiceStatus::AtRisk,
                Some(TokenInputs { last_error: Some(_), .. }) => ServiceStatus::Degraded,
                _ => ServiceStatus::Ready,
            },
        }
    }

    pub(super) fn severity(&self) -> Severity {
        let severity = self.severity_of_state();
        if self.has_mistake { severity.min(Severity::Warning) } else { severity }
    }

    fn severity_of_state(&self) -> Severity {
        match self.state() {
            ServiceStatus::Refused | ServiceStatus::LoginRequired
                if self.token.as_ref().is_some_and(|token| token.usable) =>
            {
                Severity::Warning
            }
            ServiceStatus::Refused
            | ServiceStatus::LoginRequired
            | ServiceStatus::Expired
            | ServiceStatus::Unavailable
            | ServiceStatus::Unauthorized
            | ServiceStatus::Unreachable
            | ServiceStatus::UpstreamFailing
            | ServiceStatus::Misconfigured => Severity::Error,
            ServiceStatus::AtRisk | ServiceStatus::Degraded => Severity::Warning,
            ServiceStatus::Starting => Severity::Starting,
            ServiceStatus::Ready | ServiceStatus::Disabled => Severity::Ok,
        }
    }

    /// The status in one or two sentences.
    pub(super) fn summary(&self) -> String {
        let mistake = match self.inactive {
            None if self.has_mistake => {
                " Its settings on disk have a mistake, so that it runs with its previous ones."
            }
            _ => "",
        };
        self.summary_of_state() + mistake
    }

    fn summary_of_state(&self) -> String {
        let error = self.token.as_ref().and_then(|token| token.last_error.as_ref());
        let why = error.map_or("the token endpoint could not be asked", |error| error.message.as_str());
        match self.state() {
            ServiceStatus::Refused if self.severity() == Severity::Warning => {
                format!(
                    "The identity provider refuses to issue a new token ({why}). Requests work until the current one expires."
                )
            }
            ServiceStatus::Refused => {
                format!("The identity provider refuses to issue a token: {why}. Requests get 503.")
            }
            ServiceStatus::LoginRequired => format!("A user has to log in first: {why}."),
            ServiceStatus::Expired => {
                format!("The token has expired and no new one could be obtained: {why}. Requests get 503.")
            }
            ServiceStatus::Unavailable => format!("No token could be obtained yet: {why}. Requests get 503."),
            ServiceStatus::Unauthorized => "The upstream answers 401: it rejects the credential.".into(),
            ServiceStatus::Unreachable => match &self.cause {
                Some(cause) => format!("The upstream cannot be reached: {cause}."),
                None => "The upstream cannot be reached.".into(),
            },
            ServiceStatus::UpstreamFailing => {
                "The upstream answers 5xx: it has an internal error. Sidekey passes its responses on.".into()
            }
            ServiceStatus::AtRisk => {
                let risk = self.token.as_ref().and_then(|token| token.risk.as_deref()).unwrap_or_default();
                let mut risk = risk.to_owned();
                if let Some(first) = risk.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                format!("{risk}. Requests work until the current token expires.")
            }
            ServiceStatus::Degraded => {
                format!("The last refresh failed: {why}. Requests work until the current token expires.")
            }
            ServiceStatus::Starting => "The first token is on its way.".into(),
            ServiceStatus::Misconfigured => {
                "Its configuration has a mistake, or its secret cannot be read. Requests get 503.".into()
            }
            ServiceStatus::Disabled => "Disabled (`enabled: false`). Requests get 503.".into(),
            ServiceStatus::Ready if self.token.is_none() => {
                "Ready. The credential is static and needs no refresh.".into()
            }
            ServiceStatus::Ready => "Ready. The token is refreshed in the background.".into(),
        }
    }

    /// What to do about it, in the words of `sidekey test`; nothing if there is nothing to do.
    pub(super) fn suggestions(&self) -> Vec<String> {
        let correct = self.has_mistake.then(|| CORRECT.to_owned());
        let advice = match self.state() {
            ServiceStatus::Ready | ServiceStatus::Starting => Vec::new(),
            ServiceStatus::AtRisk => vec![
                "Free space in `state.dir`, or make it writable again. Sidekey writes the file as soon as it can; do not end it \
                 before."
                    .to_owned(),
            ],
            ServiceStatus::Unauthorized | ServiceStatus::Unreachable | ServiceStatus::UpstreamFailing => {
                self.upstream_advice.clone()
            }
            _ => self.token.as_ref().map(|token| token.advice.clone()).unwrap_or_default(),
        };
        correct.into_iter().chain(self.warnings.iter().cloned()).chain(advice).collect()
    }

    /// The section of the runbook about the state.
    pub(super) fn runbook(&self) -> Option<&'static str> {
        Some(match self.state() {
            ServiceStatus::Misconfigured => "SidekeyServiceMisconfigured",
            ServiceStatus::Ready if self.has_mistake => "SidekeyServiceMisconfigured",
            ServiceStatus::Ready | ServiceStatus::Starting | ServiceStatus::Disabled => return None,
            ServiceStatus::Refused | ServiceStatus::LoginRequired => "SidekeyCredentialRefused",
            ServiceStatus::Expired | ServiceStatus::Unavailable => "SidekeyCredentialUnavailable",
            ServiceStatus::Unauthorized => "SidekeyUpstreamUnauthorized",
            ServiceStatus::Unreachable => "SidekeyUpstreamFailing",
            ServiceStatus::UpstreamFailing => "SidekeyUpstreamAnswersErrors",
            ServiceStatus::AtRisk => "SidekeyStateNotWritten",
            ServiceStatus::Degraded => "SidekeyTokenExpiresSoon",
        })
    }
}

/// What to do about a mistake.
const CORRECT: &str =
    "Correct the mistake; Sidekey reads the files again by itself. `sidekey check` finds it before.";

#[cfg(test)]
mod tests {
    use super::*;

    fn token(
        usable: bool,
        issued: bool,
        error: Option<SourceErrorKind>,
        upstream_status: UpstreamStatus,
    ) -> StatusInputs {
        let last_error = error.map(|reason| SourceError::new(reason, "it said no"));
        let advice = last_error.iter().map(|_| "Ask it again.".to_owned()).collect();
        let token = TokenInputs { usable, issued, last_error, advice, risk: None };
        StatusInputs {
            token: Some(token),
            upstream_status,
            cause: None,
            upstream_advice: vec!["Look at the upstream.".into()],
            warnings: vec![],
            inactive: None,
            has_mistake: false,
        }
    }

    fn at_risk(mut inputs: StatusInputs) -> StatusInputs {
        let token = inputs.token.as_mut().unwrap();
        token.risk = Some("the disk is full".into());
        inputs
    }

    #[test]
    fn status_and_severity_follow_the_inputs() {
        use SourceErrorKind::{Refused, ServerError};
        let fine = UpstreamStatus::Healthy;
        let fixed = |upstream_status| StatusInputs {
            token: None,
            upstream_status,
            cause: Some("no such host".into()),
            upstream_advice: vec!["Look at the upstream.".into()],
            warnings: vec![],
            inactive: None,
            has_mistake: false,
        };
        for (inputs, state, severity) in [
            (fixed(fine), ServiceStatus::Ready, Severity::Ok),
            (fixed(UpstreamStatus::Unauthorized), ServiceStatus::Unauthorized, Severity::Error),
            (
                fixed(UpstreamStatus::Unreachable("upstream_connect")),
                ServiceStatus::Unreachable,
                Severity::Error,
            ),
            (token(true, true, None, fine), ServiceStatus::Ready, Severity::Ok),
            (token(false, false, None, fine), ServiceStatus::Starting, Severity::Starting),
            (token(false, false, Some(ServerError), fine), ServiceStatus::Unavailable, Severity::Error),
            (token(true, true, Some(ServerError), fine), ServiceStatus::Degraded, Severity::Warning),
            (at_risk(token(true, true, None, fine)), ServiceStatus::AtRisk, Severity::Warning),
            (
                at_risk(token(true, true, Some(SourceErrorKind::Local), fine)),
                ServiceStatus::AtRisk,
                Severity::Warning,
            ),
            (at_risk(token(false, true, Some(ServerError), fine)), ServiceStatus::Expired, Severity::Error),
            (token(false, true, Some(ServerError), fine), ServiceStatus::Expired, Severity::Error),
            (token(false, true, None, fine), ServiceStatus::Expired, Severity::Error),
            (token(false, false, Some(Refused), fine), ServiceStatus::Refused, Severity::Error),
            (
                token(false, false, Some(SourceErrorKind::LoginRequired), fine),
                ServiceStatus::LoginRequired,
                Severity::Error,
            ),
            (token(true, true, Some(Refused), fine), ServiceStatus::Refused, Severity::Warning),
            (
                token(true, true, Some(ServerError), UpstreamStatus::Unauthorized),
                ServiceStatus::Unauthorized,
                Severity::Error,
            ),
        ] {
            assert_eq!((inputs.state(), inputs.severity()), (state, severity), "{inputs:?}");
            assert_eq!(
                inputs.suggestions().is_empty(),
                matches!(state, ServiceStatus::Ready | ServiceStatus::Starting)
                    || inputs
                        .token
                        .as_ref()
                        .is_some_and(|t| state == ServiceStatus::Expired && t.last_error.is_none()),
                "{inputs:?}"
            );
            assert!(
                inputs.summary().ends_with('.') && !inputs.summary().contains(".."),
                "{}",
                inputs.summary()
            );
        }
        assert!(
            Severity::Error < Severity::Warning && Severity::Warning < Severity::Ok,
            "broken ones come first"
        );
    }
}
