//! All services, and the state of Sidekey.

use std::time::SystemTime;

use serde::Serialize;
use utoipa::ToSchema;

use super::service::ServiceView;
use super::timestamp::Timestamp;
use crate::admin::status::Severity;
use crate::config::{Effect, Subject};
use crate::reload::{ReloadFailure, ReloadStatus};
use crate::runtime::problem::ConfigProblem;
use crate::secret::StaleSecret;

/// The services, and the state of Sidekey.
#[derive(Serialize, ToSchema)]
#[schema(as = Services)]
pub(in crate::admin) struct ServicesView {
    /// The time of this response. The page counts from it rather than from the clock of the browser.
    now: Timestamp,
    /// The name of this instance: that of the machine, or of the Pod.
    instance: String,
    /// The version of Sidekey.
    version: &'static str,
    /// When the process started.
    started: Timestamp,
    /// The requests that require the admin token.
    access: AccessView,
    config: ConfigView,
    /// The number of services of each severity.
    counts: Counts,
    /// Names this state. With it as `since`, the next response lists only the services that have changed.
    revision: String,
    /// Whether `services` are all services; otherwise those that are not listed are as they were.
    complete: bool,
    /// The services in the order of the configuration.
    services: Vec<ServiceView>,
}

/// The requests that require the admin token.
#[derive(Serialize, ToSchema)]
#[schema(as = Access)]
pub(in crate::admin) struct AccessView {
    /// Whether reading requires it.
    pub(in crate::admin) read_requires_token: bool,
    /// Whether changing something requires it; `null` if nothing can be changed at this address.
    pub(in crate::admin) write_requires_token: Option<bool>,
    /// Whether services can be added and changed here (`admin.manage`). Otherwise the API has the lines to commit.
    pub(in crate::admin) can_manage: bool,
}

/// The configuration in use.
#[derive(Serialize, ToSchema)]
#[schema(as = Config)]
struct ConfigView {
    /// When the configuration in use was read.
    loaded: Timestamp,
    /// Why the configuration on disk is not in use, if it cannot be used.
    failing: Option<FailingView>,
    /// Why certificate files on disk are not in use, if they cannot be used.
    certificates_failing: Option<FailingView>,
    /// Secrets that stay in use although their sources fail.
    stale_secrets: Vec<StaleSecretView>,
    /// Mistakes in services and in included files. The configuration on disk is in use without what has them.
    problems: Vec<ConfigProblemView>,
}

/// A mistake in a service or in an included file.
#[derive(Serialize, ToSchema)]
#[schema(as = ConfigProblem)]
struct ConfigProblemView {
    /// The service that has it; `null` if it concerns a file as a whole.
    service: Option<String>,
    /// The file that has it, if it concerns a file as a whole.
    file: Option<String>,
    /// Whether what has it runs with its settings from before.
    runs_with_previous_settings: bool,
    /// Since when.
    since: Timestamp,
    /// What is wrong, with file and line; no secret, possibly several lines.
    error: String,
}

impl ConfigProblemView {
    fn of(problem: &ConfigProblem) -> Self {
        let (service, file) = match problem.subject.clone() {
            Subject::Service(name) => (Some(name), None),
            Subject::File(file) => (None, Some(file)),
        };
        Self {
            service,
            file,
            runs_with_previous_settings: problem.effect == Effect::PreviousSettings,
            since: Timestamp(problem.since),
            error: problem.error.clone(),
        }
    }
}

/// Files on disk that cannot be used, so that their previous content stays in use.
#[derive(Serialize, ToSchema)]
#[schema(as = Failing)]
struct FailingView {
    /// Since when.
    since: Timestamp,
    /// What is wrong; no secret, possibly several lines.
    error: String,
}

/// A secret that stays in use although its source fails.
#[derive(Serialize, ToSchema)]
#[schema(as = StaleSecret)]
struct StaleSecretView {
    /// The source: its kind, and the path or the program.
    source: String,
    /// The paths in the configuration at which it is used.
    used_by: Vec<String>,
    /// When the source failed first.
    since: Timestamp,
    /// What is wrong; no secret.
    error: String,
}

impl StaleSecretView {
    fn of(secret: &StaleSecret) -> Self {
        let StaleSecret { source, places, since, error } = secret.clone();
        Self { source, used_by: places, since: Timestamp(since), error }
    }
}

impl ConfigView {
    fn of(status: &ReloadStatus, problems: &[ConfigProblem]) -> Self {
        let view = |failing: &Option<ReloadFailure>| {
            let failing = failing.as_ref();
            failing
                .map(|failing| FailingView { since: Timestamp(failing.since), error: failing.error.clone() })
        };
        Self {
            loaded: Timestamp(status.last_success),
            failing: view(&status.failing),
            certificates_failing: view(&status.certificates),
            stale_secrets: status.stale_secrets.iter().map(StaleSecretView::of).collect(),
            problems: problems.iter().map(ConfigProblemView::of).collect(),
        }
    }
}

/// The number of services of each severity.
#[derive(Serialize, Default, ToSchema)]
pub(in crate::admin) struct Counts {
    total: usize,
    error: usize,
    warning: usize,
    starting: usize,
    ok: usize,
}

/// What a client is to be sent.
pub(in crate::admin) struct Changes {
    /// What the client sends as `since` the next time.
    pub(in crate::admin) revision: String,
    /// Whether `services` are all services, in their order. Otherwise all others are as they were.
    pub(in crate::admin) is_complete: bool,
    pub(in crate::admin) services: Vec<ServiceView>,
}

impl Counts {
    /// The counts of all services.
    pub(in crate::admin) fn of(services: &[ServiceView]) -> Self {
        let mut counts = Self { total: services.len(), ..Self::default() };
        for service in services {
            match service.severity {
                Severity::Error => counts.error += 1,
                Severity::Warning => counts.warning += 1,
                Severity::Starting => counts.starting += 1,
                Severity::Ok => counts.ok += 1,
            }
        }
        counts
    }
}

impl ServicesView {
    pub(in crate::admin) fn new(
        instance: &str,
        started: SystemTime,
        access: AccessView,
        (reload, problems): (&ReloadStatus, &[ConfigProblem]),
        counts: Counts,
        changes: Changes,
    ) -> Self {
        let config = ConfigView::of(reload, problems);
        let version = env!("CARGO_PKG_VERSION");
        let Changes { revision, is_complete, services } = changes;
        Self {
            now: Timestamp(SystemTime::now()),
            instance: instance.to_owned(),
            version,
            started: Timestamp(started),
            access,
            config,
            counts,
            revision,
            complete: is_complete,
            services,
        }
    }
}
