//! Explains the outcome of a test or a probe, and suggests what to change.

use std::time::Duration;

use super::failure;
use super::failure::Failure;
use super::probe::{ProbeError, ResponseHead};
use super::report::{Diagnosis, TestReport};
use super::role::Role;
use super::warnings;
use crate::config::Auth;
use crate::credential::{Rejection, explain_401, explain_failure, is_rejected_with};
use crate::refresh::SourceError;
use crate::upstream::ConnectError;

fn diagnosis<const N: usize>(summary: impl Into<String>, suggestions: [&str; N]) -> Diagnosis {
    Diagnosis { summary: summary.into(), suggestions: suggestions.map(str::to_owned).to_vec() }
}

/// The token endpoint issued no token, so the upstream was not called.
pub(crate) fn token_refused(error: &SourceError, auth: &Auth) -> Diagnosis {
    let end = if error.message.ends_with('?') { "" } else { "." };
    let summary = format!("No token, so the upstream was not called: {}{end}", error.message);
    let suggestions = explain_failure(auth, error);
    Diagnosis { summary, suggestions }
}

/// The token is requested with that of a caller, and there is none here.
pub(crate) fn needs_caller() -> Diagnosis {
    diagnosis(
        "The token of this service is requested with the token of a caller, so the upstream was not called.",
        ["Send a request with a caller's token: `curl -H \"Authorization: Bearer TOKEN\" …`."],
    )
}

/// The upstream is a wildcard, and what is to be called names none of its hosts.
pub(crate) fn names_no_host(upstream: &str) -> Diagnosis {
    diagnosis(
        format!(
            "The upstream is a wildcard ({upstream}), and no host of it was named: there is nothing to call."
        ),
        ["Give a whole URL instead of a path: `sidekey test SERVICE https://HOST/PATH`."],
    )
}

/// The token endpoint has not responded in time.
pub(crate) fn token_missing(token_limit: Duration) -> Diagnosis {
    diagnosis(
        format!("No token within {} s, so the upstream was not called.", token_limit.as_secs()),
        ["The token endpoint has not answered yet: is it slow, or does a firewall drop packets?"],
    )
}

/// The upstream did not respond.
pub(crate) fn request_failed(error: &ProbeError) -> Diagnosis {
    let summary = format!("The upstream was not reached: {}.", crate::oauth2::sanitize(&error.to_string()));
    match error {
        ProbeError::Connect(error) => connect_failed(summary, error, Role::Upstream),
        ProbeError::Broken(cause) if is_tls_alert(&cause.to_string()) => {
            let suggestions = Failure::Tls(&cause.to_string()).suggestions(Role::Upstream);
            Diagnosis { summary, suggestions }
        }
        ProbeError::Timeout => {
            Diagnosis { summary, suggestions: Failure::Silent.suggestions(Role::Upstream) }
        }
        ProbeError::Closed | ProbeError::Broken(_) | ProbeError::NotHttp => {
            Diagnosis { summary, suggestions: Failure::NotHttp.suggestions(Role::Upstream) }
        }
        ProbeError::NoCredential => {
            diagnosis(summary, ["The token expired before it could be sent: its lifetime is very short."])
        }
    }
}

/// Why no connection could be made and what to change, on one line.
pub(crate) fn unreachable(error: &ConnectError, role: Role) -> String {
    let mut summary = crate::oauth2::sanitize(&error.to_string());
    if role.has_fixed_limit() {
        // Its time limit is fixed, not configured.
        summary = summary.replace(" (timeouts.connect)", "");
    }
    let Diagnosis { summary, suggestions } = connect_failed(summary, error, role);
    format!("{summary}. {}", suggestions.join(" "))
}

fn connect_failed(summary: String, error: &ConnectError, role: Role) -> Diagnosis {
    let cause = failure::cause(error);
    Diagnosis { summary, suggestions: Failure::of_connection(error, &cause).suggestions(role) }
}

fn is_tls_alert(cause: &str) -> bool {
    cause.contains("received fatal alert")
}

/// What to do about a 5xx of the upstream.
pub(crate) const INTERNAL_ERROR: &str =
    "Try again, and try another PATH. If the error persists, ask its operator.";

/// The upstream responded. What is known for certain precedes what is likely.
pub(crate) fn responded(response: &ResponseHead, auth: &Auth, report: &TestReport) -> Diagnosis {
    let mut diagnosis = by_status(response, auth, report);
    let stated =
        response.errors.iter().map(|(text, meaning)| format!("The response says `{text}`: {meaning}"));
    diagnosis.suggestions.splice(..0, stated);
    if matches!(response.status, 400 | 401 | 403) {
        diagnosis.suggestions.splice(..0, response.clock_skew.and_then(warnings::clock_of_upstream));
    }
    diagnosis
}

fn by_status(response: &ResponseHead, auth: &Auth, report: &TestReport) -> Diagnosis {
    let status = response.status;
    match status {
        200..=299 => diagnosis(format!("It works: the upstream answered {status}."), []),
        101 | 300..=399 => diagnosis(
            format!(
                "The upstream answered {status}, a redirect; Sidekey passes redirects on and never follows them."
            ),
            [
                "If it leads to a login page, the credential was not recognised. Is this the API, or a web page for people?",
                "If it leads to the same path with or without a slash, or to `https`, write `upstream` like that.",
            ],
        ),
        401 => unauthorized(response, auth, report),
        400 | 403 if is_rejected_with(auth, status) => rejected(response, auth, report),
        403 => forbidden(response, report),
        400 => diagnosis(
            "400: the upstream could not understand the request. The credential is probably not the cause.",
            [
                "The path may need parameters: give a PATH that is known to work, such as one that lists something.",
                "Some APIs answer 400 to a key that is missing or wrong: compare `in`, `name` and `prefix` with their documentation.",
            ],
        ),
        404 => diagnosis(
            "404: there is nothing at this path. The credential may well be right.",
            [
                "Give a PATH that exists. It is appended to the path of `upstream` (see the URL above).",
                "Some APIs answer 404 in place of 403, to hide what exists.",
            ],
        ),
        405 => diagnosis(
            "405: this path does not accept GET. The credential was probably accepted.",
            ["Give a PATH that can be read."],
        ),
        407 => diagnosis(
            "407: a proxy in between requires a login of its own.",
            ["Is `upstream` the API itself?"],
        ),
        421 => diagnosis(
            "421: the server does not serve this host name.",
            ["Is the host in `upstream` right, and `tls.server_name`?"],
        ),
        429 => diagnosis(
            "429: too many requests. The credential was probably accepted.",
            ["Wait, or ask the provider for a higher limit."],
        ),
        500..=599 => diagnosis(
            format!("{status}: the upstream, or a gateway in front of it, has an internal error."),
            [INTERNAL_ERROR],
        ),
        _ => diagnosis(format!("The upstream answered {status}."), []),
    }
}

fn unauthorized(response: &ResponseHead, auth: &Auth, report: &TestReport) -> Diagnosis {
    let token_scheme = report.token.as_ref().map(|token| token.kind.as_str());
    let suggestions =
        explain_401(auth, &Rejection { status: 401, challenges: &response.challenges, token_scheme });
    Diagnosis { summary: "401: the upstream rejects this credential.".into(), suggestions }
}

/// The upstream answers a wrong credential and a missing permission with the same status.
fn rejected(response: &ResponseHead, auth: &Auth, report: &TestReport) -> Diagnosis {
    let ResponseHead { status, challenges, .. } = response;
    let token_scheme = report.token.as_ref().map(|token| token.kind.as_str());
    let rejection = Rejection { status: *status, challenges, token_scheme };
    let what = if token_scheme.is_some() { "token" } else { "signature" };
    let summary = format!("{status}: the upstream rejects the {what}, or does not allow the request.");
    Diagnosis { summary, suggestions: explain_401(auth, &rejection) }
}

fn forbidden(response: &ResponseHead, report: &TestReport) -> Diagnosis {
    let mut suggestions: Vec<String> = Vec::new();
    if let Some(token) = &report.token {
        suggestions.push(match &token.scope {
            Some(scope) => format!("The token has the scope `{scope}`; add what is missing to `scopes`."),
            None => "A scope may be missing: name it in `scopes`.".into(),
        });
    }
    let is_scope = response.challenges.contains(&"insufficient_scope");
    if !is_scope {
        // Datadog, Algolia and others answer so, and a valid credential that is not enough gets the same.
        suggestions.push("Some APIs answer 403 in place of 401 to a key that is wrong, or that is for another site, environment or API.".into());
        suggestions.push("The account may lack a role or permission for this path: give it one there, or try another PATH.".into());
        suggestions.push(
            "A firewall in front of the API answers 403 as well: is this machine's address allowed?".into(),
        );
    }
    let summary = if is_scope {
        "403: the upstream accepts the token, and its scope does not allow the request."
    } else {
        "403: the upstream does not allow the request, or does not accept the credential and says so in this way."
    };
    Diagnosis { summary: summary.into(), suggestions }
}
