//! The running program: built from a configuration, started, and watched for changes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::{Notify, watch};

use crate::admin;
use crate::admin::Admin;
use crate::audit::AuditMetrics;
use crate::callers::{CallerCounts, CallerPolicy, KeyMetrics};
use crate::config::{Config, ListenAddress, Readiness};
use crate::logging;
use crate::logging::LogControl;
use crate::manage::Manager;
use crate::metrics::Metrics;
use crate::net::exhaustion;
use crate::net::listener::{BoundListener, InheritedSockets};
use crate::proxy::DataPlane;
use crate::reload;
use crate::reload::{InUse, Reloader, Watcher};
use crate::runtime::service::Service;
use crate::runtime::snapshot::Runtime;
use crate::secret::SecretCache;
use crate::tls::expiry;

use super::admin_server::AdminServer;
use super::caller_keys::CallerKeys;
use super::descriptor_limit;
use super::listeners::{ListenerInfo, Listeners};
use super::otel::TraceExport;
use super::problems;
use super::services;
use super::services::{ServiceFactory, Services};
use super::snapshot::{Access, ConnectPolicy, audit_log, snapshot};
use super::standalone::StandaloneTester;
use super::worker::{PreparedListener, Worker};

/// How often idle upstream connections past their idle timeout are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// Sidekey, running.
pub struct App {
    pub(super) plane: Arc<DataPlane>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) factory: ServiceFactory,
    pub(super) caller_counts: CallerCounts,
    pub(super) caller_keys: CallerKeys,
    pub(super) audit_metrics: AuditMetrics,
    admin: ListenerInfo,
    admin_socket: Arc<BoundListener>,
    pub(super) access_policy: Arc<admin::AccessPolicy>,
    pub(super) state: Mutex<State>,
    reloader: Reloader,
    /// The files whose certificates are shown to others.
    pub(super) certificates: watch::Sender<BTreeSet<PathBuf>>,
    /// Taken by [`App::watch`].
    watcher: Mutex<Option<Watcher>>,
    /// Set by [`App::watch`].
    pub(super) log: OnceLock<LogControl>,
    /// Set by [`App::manage`].
    managing: Arc<OnceLock<admin::Managing>>,
    /// Set by [`App::allow_quit`].
    quit: Arc<OnceLock<Arc<Notify>>>,
}

/// The part of the program that a reload changes.
pub(super) struct State {
    pub(super) config: Config,
    pub(super) services: Services,
    pub(super) listeners: Listeners,
    pub(super) traces: TraceExport,
    pub(super) workers: Vec<Worker>,
    pub(super) stopping: bool,
}

impl App {
    /// Starts everything, on the current tokio runtime and on its own worker threads. All listeners are open when it returns.
    pub fn start(config: &Config) -> anyhow::Result<Arc<Self>> {
        Self::start_on(config, &mut InheritedSockets::default())
    }

    /// Starts everything as [`App::start`] does, on sockets that are open already.
    pub fn start_on(config: &Config, inherited: &mut InheritedSockets) -> anyhow::Result<Arc<Self>> {
        let (app, admin_server) = Self::build(config, inherited)?;
        app.open(admin_server)?;
        Ok(app)
    }

    /// Starts everything on the sockets of a process that still serves. Serves as soon as every service has its first token,
    /// or after `token_limit` without.
    pub async fn start_upgrade(
        config: &Config,
        inherited: &mut InheritedSockets,
        token_limit: Duration,
    ) -> anyhow::Result<Arc<Self>> {
        let (app, admin_server) = Self::build(config, inherited)?;
        app.wait_until_ready(token_limit).await;
        app.open(admin_server)?;
        Ok(app)
    }

    /// Builds and starts everything but the listeners.
    fn build(config: &Config, inherited: &mut InheritedSockets) -> anyhow::Result<(Arc<Self>, AdminServer)> {
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::new(&registry)?);
        registry.register(Box::new(logging::accept_failures().clone()))?;
        let factory = ServiceFactory::new(metrics.clone(), &registry, config)?;

        let listeners = Listeners::open(config, inherited, &metrics.connections())?;
        let admin_listener = inherited.listener(&config.admin.listen)?;
        inherited.ensure_all_claimed()?;
        let admin_socket = Arc::new(admin_listener.try_clone()?);
        if let Some(fleet) = &factory.fleet {
            fleet.start();
        }
        let mut none = Services::default();
        let services = factory.prepare(&none, config)?;
        let mut export = TraceExport::default();
        let tracer = export.apply(export.prepare(&factory, config)?, &metrics.traces());
        // Before the first token request, which is traced as well.
        factory.traces.set(tracer.clone());
        let services = services.start(&mut none, &metrics);

        let caller_counts = CallerCounts::default();
        registry.register(caller_counts.collector()?)?;
        let caller_keys = CallerKeys::new(KeyMetrics::new(&registry)?);
        let needed_keys = caller_keys.needed(&factory, config)?;
        let callers = CallerPolicy::new(config, None, &caller_counts, &needed_keys);
        let audit_metrics = AuditMetrics::new(&registry)?;
        let access = Access { callers, audit: audit_log(None, config, &audit_metrics)? };
        let connect_policy = ConnectPolicy::new(&factory, config, None)?;
        services::count_inactive(config, &metrics);
        let first = snapshot(config, &services, connect_policy, tracer, access, &[]);
        problems::log(&first, &[]);
        let runtime = Arc::new(Runtime::new(first));
        let plane = Arc::new(DataPlane::new(runtime.clone(), metrics.clone()));
        let admin = ListenerInfo { kind: "admin", service: None, address: admin_listener.address.clone() };
        let (reloader, watcher) = reload::new(metrics.reload(), config.problems.is_empty());
        registry.register(Box::new(admin::service_states(runtime.clone())))?;
        let admin_api = Admin::new(&config.admin, runtime.clone(), registry, reloader.clone());
        let (access_policy, managing) = (admin_api.access(), admin_api.managing_slot());
        let quit = admin_api.quit_slot();
        let max_connections = descriptor_limit::max_admin_connections();
        let admin_server = AdminServer { listener: admin_listener, admin: admin_api, max_connections };
        tokio::spawn(sweep_idle_connections(runtime.clone()));
        let (certificates, files) = watch::channel(expiry::files(config));
        tokio::spawn(expiry::follow(files, metrics.certificates()));

        let workers = (0..config.threads).map(Worker::start).collect::<anyhow::Result<Vec<_>>>()?;
        let config = config.clone();
        let state = State { config, services, listeners, traces: export, workers, stopping: false };
        let app = Self {
            plane,
            runtime,
            metrics,
            factory,
            caller_counts,
            caller_keys,
            audit_metrics,
            admin,
            admin_socket,
            access_policy,
            state: Mutex::new(state),
            reloader,
            certificates,
            watcher: Mutex::new(Some(watcher)),
            log: OnceLock::new(),
            managing,
            quit,
        };
        app.note_own_ports(&app.state.lock());
        Ok((Arc::new(app), admin_server))
    }

    /// Serves on every listener from now on.
    fn open(&self, admin_server: AdminServer) -> anyhow::Result<()> {
        admin_server.serve()?;
        let state = self.state.lock();
        for listener in state.listeners.iter() {
            for worker in &state.workers {
                worker.serve(PreparedListener::new(listener, &self.plane)?);
            }
        }
        drop(state);
        self.listeners().iter().for_each(ListenerInfo::announce);
        Ok(())
    }

    /// Tells the data plane on which ports Sidekey listens.
    pub(super) fn note_own_ports(&self, state: &State) {
        let listeners = state.listeners.iter().map(|listener| &listener.info).chain([&self.admin]);
        self.plane.set_own_ports(listeners.filter_map(|listener| match &listener.address {
            ListenAddress::Tcp(address) => Some(address.port()),
            ListenAddress::Unix(_) => None,
        }));
    }

    /// Waits until every service that readiness depends on has a usable credential, `limit` at most.
    async fn wait_until_ready(&self, limit: Duration) {
        let ready = async {
            let is_missing =
                |service: &Service| service.readiness != Readiness::Never && !service.credential.is_ready();
            loop {
                let snapshot = self.runtime.current();
                let Some(service) = snapshot.services.iter().find(|service| is_missing(service)) else {
                    return;
                };
                let Some(store) = service.credential.store() else { return };
                store.wait_until(&|| service.credential.is_ready()).await;
            }
        };
        // The caller serves with or without: requests wait for a first token on their own.
        let _ = tokio::time::timeout(limit, ready).await;
    }

    /// Applies what `source` returns, from now on, whenever the files behind the configuration change or a reload is requested.
    /// `secrets` is what the sources gave that are polled.
    pub fn watch(self: &Arc<Self>, source: reload::ConfigSource, secrets: Arc<SecretCache>, log: LogControl) {
        let _ = self.log.set(log);
        let in_use = InUse::of(&self.state.lock().config);
        if let Some(watcher) = self.watcher.lock().take() {
            tokio::spawn(watcher.run(source, self.clone(), secrets, in_use));
        }
    }

    /// Lets `POST /quit` notify this.
    pub fn allow_quit(&self, end: Arc<Notify>) {
        let _ = self.quit.set(end);
    }

    /// Lets the admin API change the services of the configuration with this main file, as far as the configuration allows that.
    /// `secrets` is what the sources gave that are polled.
    pub fn manage(&self, main: PathBuf, secrets: Arc<SecretCache>) {
        let managing = admin::Managing::new(Manager::new(main, secrets), Box::new(StandaloneTester));
        let _ = self.managing.set(managing);
    }

    /// The handle that requests a reload.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// The open listeners.
    pub fn listeners(&self) -> Vec<ListenerInfo> {
        let state = self.state.lock();
        state.listeners.iter().map(|listener| listener.info.clone()).chain([self.admin.clone()]).collect()
    }

    /// The sockets of all open listeners, for the process that takes over.
    pub fn sockets(&self) -> Vec<Arc<BoundListener>> {
        let state = self.state.lock();
        let sockets = state.listeners.iter().map(|listener| listener.socket.clone());
        sockets.chain([self.admin_socket.clone()]).collect()
    }
}

async fn sweep_idle_connections(runtime: Arc<Runtime>) {
    loop {
        // At once if no descriptor is left: idle connections give theirs back.
        let _ = tokio::time::timeout(SWEEP_INTERVAL, exhaustion::recorded()).await;
        for service in &runtime.current().services {
            service.upstream.sweep();
        }
    }
}
