//! The state behind the admin listener.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use axum::http::StatusCode;
use prometheus::Registry;
use tokio::sync::Notify;

use super::access::AccessPolicy;
use super::events::Events;
use super::history::Histories;
use super::managing::Managing;
use super::problem::Problem;
use super::revisions::Revisions;
use super::view::ServiceView;
use crate::config;
use crate::config::InactiveService;
use crate::reload::Reloader;
use crate::runtime::problem::ConfigProblem;
use crate::runtime::service::Service;
use crate::runtime::snapshot::{Listed, Runtime, Snapshot};

/// The admin API and the status page, over what runs.
pub struct Admin {
    pub(super) runtime: Arc<Runtime>,
    pub(super) registry: Registry,
    pub(super) reloader: Reloader,
    pub(super) access: Arc<AccessPolicy>,
    pub(super) histories: Arc<Histories>,
    pub(super) started: SystemTime,
    pub(super) events: Events,
    pub(super) revisions: Revisions,
    /// The name of this instance: the machine's, which is the Pod's in Kubernetes.
    pub(super) instance: String,
    /// Whether `/readyz` has answered that Sidekey is ready. Services that a reload adds do not undo that (`readiness: first`).
    pub(super) was_ready: AtomicBool,
    /// What a change of services needs; empty if this process was not started from a file.
    managing: Arc<OnceLock<Managing>>,
    /// Notified if a request ends the process; empty if none may.
    quit: Arc<OnceLock<Arc<Notify>>>,
}

impl Admin {
    /// An admin API for the services of `runtime`, under the access rules of `config`. `/metrics` shows `registry`, and a reload
    /// is requested from `reloader`.
    pub fn new(
        config: &config::Admin,
        runtime: Arc<Runtime>,
        registry: Registry,
        reloader: Reloader,
    ) -> Self {
        let (access, histories) = (Arc::new(AccessPolicy::new(config)), Arc::new(Histories::default()));
        let started = SystemTime::now();
        let revisions = Revisions::new(started);
        let instance = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self {
            runtime,
            registry,
            reloader,
            access,
            histories,
            started,
            events: Events::default(),
            revisions,
            instance,
            was_ready: AtomicBool::new(false),
            managing: Arc::default(),
            quit: Arc::default(),
        }
    }

    /// Where to put what a change of services needs.
    pub fn managing_slot(&self) -> Arc<OnceLock<Managing>> {
        self.managing.clone()
    }

    /// Where to put what ends the process.
    pub fn quit_slot(&self) -> Arc<OnceLock<Arc<Notify>>> {
        self.quit.clone()
    }

    /// What ends the process, if a request may do that.
    pub(super) fn quit(&self) -> Option<&Notify> {
        self.quit.get().map(AsRef::as_ref)
    }

    /// What a change of services needs.
    pub(super) fn managing(&self) -> Result<&Managing, Problem> {
        self.managing.get().ok_or_else(|| {
            let detail = "This Sidekey was not started from a services file that could be changed.";
            Problem::new(StatusCode::CONFLICT, detail)
        })
    }

    /// Whether services can be added and changed here.
    pub(super) fn can_manage(&self) -> bool {
        self.managing.get().is_some() && self.access.rules().managed_folder().is_some()
    }

    /// The access policy, which a reload may change.
    pub fn access(&self) -> Arc<AccessPolicy> {
        self.access.clone()
    }

    /// The view of a service, with its history.
    pub(super) fn view(&self, service: &Service) -> ServiceView {
        let snapshot = self.runtime.current();
        self.view_running(service, &snapshot, snapshot.problem_of(&service.name))
    }

    /// The view of a service that runs. `problem` is the mistake in its settings.
    pub(super) fn view_running(
        &self,
        service: &Service,
        snapshot: &Snapshot,
        problem: Option<&ConfigProblem>,
    ) -> ServiceView {
        let callers = snapshot.callers.as_ref().map(|policy| policy.totals(&service.name));
        let (history, events) = (self.histories.of(&service.name), self.events.of(&service.name));
        ServiceView::of(service, &history, events, callers.unwrap_or_default(), problem)
    }

    /// The view of a service that does not run. `problem` is the mistake in its settings.
    pub(super) fn view_inactive(
        &self,
        service: &InactiveService,
        problem: Option<&ConfigProblem>,
    ) -> ServiceView {
        ServiceView::inactive(service, self.events.of(&service.name), problem)
    }

    /// The views of all services, in the order of the configuration.
    pub(super) fn views(&self, snapshot: &Snapshot) -> Vec<ServiceView> {
        let problems = snapshot.problems_by_service();
        let problem_of = |name: &String| problems.get(name.as_str()).copied();
        let view = |listed| match listed {
            Listed::Running(service) => self.view_running(service, snapshot, problem_of(&service.name)),
            Listed::Inactive(service) => self.view_inactive(service, problem_of(&service.name)),
        };
        snapshot.listed().into_iter().map(view).collect()
    }

    /// Finds the running service of that name. Returns the service alone, so that a request that waits does not keep a whole snapshot alive.
    pub(super) fn find_service(&self, name: &str) -> Result<Arc<Service>, Problem> {
        let snapshot = self.runtime.current();
        let service = snapshot.services.iter().find(|service| service.name == name);
        service.cloned().ok_or_else(|| {
            if snapshot.index_of(name).is_some() {
                let detail = "The service does not run: its configuration has a mistake, or it is disabled.";
                return Problem::new(StatusCode::CONFLICT, detail);
            }
            let detail = "There is no service of that name; GET /api/v1/services lists them.";
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
    }
}
