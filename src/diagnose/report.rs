//! The report of a test. Nothing in it is secret.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::warnings::warnings;
use crate::runtime::service::Service;

/// The outcome of a test.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Report)]
pub struct TestReport {
    /// The service's name.
    pub service: String,
    /// `basic`, `bearer`, `api_key`, `oauth2`.
    pub credential: String,
    /// The token, for a credential that has one.
    pub token: Option<TokenReport>,
    /// Always `GET`, which changes nothing.
    pub method: String,
    /// The URL that was requested, or would have been, without the query.
    pub url: String,
    /// The status of the upstream's response.
    pub status: Option<u16>,
    /// Milliseconds from the first byte sent to the end of the response head.
    pub duration_ms: Option<u64>,
    /// The known authentication schemes and error codes (RFC 6750, RFC 9449) in `WWW-Authenticate`.
    pub challenges: Vec<String>,
    /// Whether the upstream accepted the request.
    pub ok: bool,
    /// What happened, in one sentence.
    pub summary: String,
    /// What to look at and what to change, most likely first.
    pub suggestions: Vec<String>,
}

/// The parts of a token that are not secret.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ReportedToken)]
pub struct TokenReport {
    /// `Bearer`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Seconds until it expires.
    pub expires_in_seconds: u64,
    /// Its lifetime, as Sidekey counts it, in seconds.
    pub lifetime_seconds: u64,
    /// The scope that was granted, if the token endpoint states it.
    pub scope: Option<String>,
    /// The claims of a JWT that identify no person. They are not verified.
    #[schema(value_type = Option<Object>)]
    pub claims: Option<Map<String, Value>>,
}

/// What happened, in one sentence, and what to look at or change.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Diagnosis {
    pub(crate) summary: String,
    pub(crate) suggestions: Vec<String>,
}

impl TestReport {
    /// The report with what it means.
    pub(super) fn with(mut self, diagnosis: Diagnosis) -> Self {
        self.summary = diagnosis.summary;
        self.suggestions = diagnosis.suggestions;
        self
    }

    /// The report with the warnings about the service: first if something failed, because they may be its cause.
    pub(super) fn warned(mut self, service: &Service) -> Self {
        let mut warnings = warnings(service);
        if self.ok {
            self.suggestions.append(&mut warnings);
        } else {
            self.suggestions.splice(..0, warnings);
        }
        self
    }
}
