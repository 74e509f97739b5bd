//! The outcomes of actions.

use serde::Serialize;
use utoipa::ToSchema;

use super::service::ServiceView;
use crate::reload::{ReloadError, ReloadReport};

/// The outcome of a reload.
#[derive(Serialize, ToSchema)]
#[schema(as = Reload)]
pub(in crate::admin) struct ReloadView {
    /// Whether all of the configuration on disk is in use now.
    ok: bool,
    /// The outcome in plain words.
    message: String,
    /// Services that are new.
    added: Vec<String>,
    /// Services whose configuration changed.
    changed: Vec<String>,
    /// Services that were removed.
    removed: Vec<String>,
    /// Listeners, upstreams and others whose certificate files changed.
    certificates: Vec<String>,
    /// Keys whose change takes effect after a restart only.
    restart_required: Vec<&'static str>,
}

impl ReloadView {
    pub(in crate::admin) fn of(outcome: Result<ReloadReport, ReloadError>) -> Self {
        let (ok, report, error) = match outcome {
            Ok(report) => (report.is_complete(), report, None),
            Err(error) => (false, ReloadReport::default(), Some(error.to_string())),
        };
        let mut message = match error {
            Some(error) => format!("Reload rejected, the configuration in use stays: {error}"),
            None if report.is_empty() => "Reloaded. Nothing has changed.".into(),
            None => format!(
                "Reloaded. Services: {} added, {} changed, {} removed.",
                report.added.len(),
                report.changed.len(),
                report.removed.len()
            ),
        };
        for (subject, error) in &report.problems {
            message.extend(["\nNot in use, because of a mistake: ", subject, "\n", error]);
        }
        if !report.certificates.is_empty() {
            message.extend([" New certificates: ", &report.certificates.join(", "), "."]);
        }
        if !report.restart_required.is_empty() {
            let keys = report.restart_required.join(", ");
            message.extend([" Restart required for: ", &keys, "."]);
        }
        let ReloadReport { added, changed, removed, certificates, restart_required, .. } = report;
        Self { ok, message, added, changed, removed, certificates, restart_required }
    }
}

/// The outcome of a refresh.
#[derive(Serialize, ToSchema)]
#[schema(as = Refresh)]
pub(in crate::admin) struct RefreshView {
    /// Whether there is a new token.
    pub(in crate::admin) ok: bool,
    /// The outcome in plain words.
    pub(in crate::admin) message: String,
    /// The service after the refresh.
    pub(in crate::admin) service: ServiceView,
}
