//! The state behind the admin listener.

use std::sync::Arc;
use std::time::SystemTime;

use axum::http::StatusCode;
use prometheus::Registry;

use super::access::AccessPolicy;
use super::events::Events;
use super::history::Histories;
use super::problem::Problem;
use super::revisions::Revisions;
use super::view::ServiceView;
use crate::config;
use crate::reload::Reloader;
use crate::runtime::service::Service;
use crate::runtime::snapshot::Runtime;

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
        }
    }

    /// The access policy, which a reload may change.
    pub fn access(&self) -> Arc<AccessPolicy> {
        self.access.clone()
    }

    /// The view of a service, with its history.
    pub(super) fn view(&self, service: &Service) -> ServiceView {
        let callers = self.runtime.current().callers.as_ref().map(|policy| policy.totals(&service.name));
        let (history, events) = (self.histories.of(&service.name), self.events.of(&service.name));
        ServiceView::of(service, &history, events, callers.unwrap_or_default())
    }

    /// Finds the service of that name. Returns the service alone, so that a request that waits does not keep a whole snapshot alive.
    pub(super) fn find_service(&self, name: &str) -> Result<Arc<Service>, Problem> {
        let snapshot = self.runtime.current();
        let service = snapshot.services.iter().find(|service| service.name == name);
        service.cloned().ok_or_else(|| {
            let detail = "There is no service of that name; GET /api/v1/services lists them.";
            Problem::new(StatusCode::NOT_FOUND, detail)
        })
    }
}
