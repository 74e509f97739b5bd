//! The composition root: builds everything from a [`Config`], starts it, and ends it. The only module that sees all
//! others; wiring, no logic.
//!
//! ```text
//! services   configuration -> services at run time, with their refreshers
//! doors      configuration -> open sockets
//! worker     one thread that serves them
//! traces     where spans are sent to
//! settings   what a reload changes besides, and what it cannot
//! pages      the admin listener
//! limits     how many connections there is room for
//! alone      one service, without listeners
//! online     the servers that services lead to, without services
//! ```
//!
//! Threads: one control thread (refreshers, admin, signals) and `threads` workers, each with an event loop of its own on
//! which a connection stays for its whole life.

mod accept;
mod admin_server;
mod descriptor_limit;
mod listeners;
mod otel;
mod reachability;
mod restart_only;
mod services;
mod standalone;
mod worker;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::sync::watch;

use crate::admin;
use crate::admin::Admin;
use crate::config::{Config, ListenAddress, Unmatched};
use crate::logging;
use crate::logging::LogControl;
use crate::metrics::Metrics;
use crate::net::dns::Resolver;
use crate::net::listener::{InheritedSockets, Listener};
use crate::oauth2::refresh_tokens::RefreshTokenRegistry;
use crate::oauth2::refresh_tokens::StateDir;
use crate::otel::{Current, Tracer};
use crate::proxy::DataPlane;
use crate::reload;
use crate::reload::{Reloader, Report, Watcher};
use crate::runtime::route::Routes;
use crate::runtime::snapshot::{Runtime, Snapshot};
use crate::secret::CommandCache;
use crate::tls::client::TlsClients;
use crate::tls::expiry;
use crate::tls::interception_ca::InterceptionCa;
use crate::tls::reloadable::Reloaded;
use crate::upstream::PassthroughConnector;

pub use accept::ACCEPT_LOG;
use admin_server::Pages;
pub use descriptor_limit::raise_descriptors;
use listeners::{Doors, OpenDoor};
use otel::Traces;
pub use reachability::servers;
use services::{Services, Workshop};
pub use standalone::service_alone;
use worker::{Ready, Worker};

/// How often connections that were idle for too long are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// How long a process that was relieved still answers on connections that are open.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Sidekey, running.
pub struct App {
    plane: Arc<DataPlane>,
    runtime: Arc<Runtime>,
    metrics: Arc<Metrics>,
    workshop: Workshop,
    admin: Bound,
    admin_socket: Arc<Listener>,
    admin_rules: Arc<admin::Rules>,
    refresh_tokens: Arc<RefreshTokenRegistry>,
    state: Mutex<State>,
    reloader: Reloader,
    /// Files whose certificates others see.
    certificates: watch::Sender<BTreeSet<PathBuf>>,
    /// Until something watches.
    watcher: Mutex<Option<Watcher>>,
    /// Until something may change it.
    log: OnceLock<LogControl>,
}

/// What a reload changes.
struct State {
    config: Config,
    services: Services,
    doors: Doors,
    traces: Traces,
    workers: Vec<Worker>,
    stopping: bool,
}

/// A listener that is open.
#[derive(Debug, Clone)]
pub struct Bound {
    /// `proxy`, `service` or `admin`.
    pub kind: &'static str,
    /// The service, for a listener of its own.
    pub service: Option<String>,
    /// The address as bound.
    pub address: ListenAddress,
}

impl Bound {
    fn announce(&self) {
        let (kind, service) = (self.kind, self.service.as_deref());
        tracing::info!(listener.kind = kind, listener.address = %self.address, service.name = service, "listening");
    }

    fn announce_closed(&self) {
        let (kind, service) = (self.kind, self.service.as_deref());
        tracing::info!(listener.kind = kind, listener.address = %self.address, service.name = service, "no longer listening");
    }
}

impl App {
    /// Starts everything, on the current tokio runtime and on worker threads of its own; all listeners are open then.
    pub fn start(config: &Config) -> anyhow::Result<Arc<Self>> {
        Self::start_on(config, &mut InheritedSockets::default())
    }

    /// The same, on sockets that are open already.
    pub fn start_on(config: &Config, inherited: &mut InheritedSockets) -> anyhow::Result<Arc<Self>> {
        let (app, pages) = Self::build(config, inherited)?;
        app.open(pages)?;
        Ok(app)
    }

    /// The same, on sockets of a process that serves already. Serves when every service has its first token, or after
    /// `patience` without.
    pub async fn start_relieving(
        config: &Config,
        inherited: &mut InheritedSockets,
        patience: Duration,
    ) -> anyhow::Result<Arc<Self>> {
        let (app, pages) = Self::build(config, inherited)?;
        app.wait_until_ready(patience).await;
        app.open(pages)?;
        Ok(app)
    }

    /// Everything but serving.
    fn build(config: &Config, inherited: &mut InheritedSockets) -> anyhow::Result<(Arc<Self>, Pages)> {
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::new(&registry)?);
        registry.register(Box::new(logging::accept_failures().clone()))?;
        let resolver =
            Resolver::from_system().context("cannot read this machine's resolver configuration")?;
        let refresh_tokens =
            Arc::new(RefreshTokenRegistry::new(config.state.as_ref().map(StateDir::open).transpose()?));
        let (tls, refresh_tokens_of) = (Arc::new(TlsClients::new()), refresh_tokens.clone());
        let current = Arc::new(Current::default());
        let workshop = Workshop {
            metrics: metrics.clone(),
            tls,
            resolver,
            refresh_tokens: refresh_tokens_of,
            traces: current,
        };

        let doors = Doors::open(config, inherited, &metrics.connections())?;
        let admin = inherited.listener(&config.admin.listen)?;
        inherited.ensure_all_claimed()?;
        let admin_socket = Arc::new(admin.try_clone()?);
        let mut none = Services::default();
        let services = workshop.prepare(&none, config)?;
        let mut traces = Traces::default();
        let recorder = traces.take(traces.prepare(&workshop, config)?, &metrics.traces());
        // Before the first token request.
        workshop.traces.set(recorder.clone());
        let services = services.start(&mut none, &metrics);

        let connects = Connects::new(&workshop, config, None)?;
        let runtime = Arc::new(Runtime::new(snapshot(config, &services, connects, recorder)));
        let plane = Arc::new(DataPlane::new(runtime.clone(), metrics.clone()));
        let admin_bound = Bound { kind: "admin", service: None, address: admin.address.clone() };
        registry.register(Box::new(admin::service_states(runtime.clone())))?;
        let (reloader, watcher) = reload::new(metrics.reload());
        let state = admin::State { runtime: runtime.clone(), registry, reloader: reloader.clone() };
        let pages = Pages { listener: admin, admin: Admin::new(&config.admin, state) };
        let admin_rules = pages.admin.rules();
        tokio::spawn(sweep(runtime.clone()));
        let (certificates, shown) = watch::channel(expiry::files(config));
        tokio::spawn(expiry::follow(shown, metrics.certificates()));

        let workers = (0..config.threads).map(Worker::start).collect::<anyhow::Result<Vec<_>>>()?;
        let state = State { config: config.clone(), services, doors, traces, workers, stopping: false };
        let app = Self {
            plane,
            runtime,
            metrics,
            workshop,
            admin: admin_bound,
            admin_socket,
            admin_rules,
            refresh_tokens,
            state: Mutex::new(state),
            reloader,
            certificates,
            watcher: Mutex::new(Some(watcher)),
            log: OnceLock::new(),
        };
        Ok((Arc::new(app), pages))
    }

    /// Serves from now on.
    fn open(&self, pages: Pages) -> anyhow::Result<()> {
        pages.serve()?;
        let state = self.state.lock();
        for door in state.doors.iter() {
            for worker in &state.workers {
                worker.serve(Ready::new(door, &self.plane)?);
            }
        }
        drop(state);
        self.listeners().iter().for_each(Bound::announce);
        Ok(())
    }

    /// From now on, takes what `source` gives whenever the files behind the configuration change, or somebody asks.
    /// `commands` is what it gets the secrets of commands from.
    pub fn watch(self: &Arc<Self>, source: reload::Source, commands: Arc<CommandCache>, log: LogControl) {
        let _ = self.log.set(log);
        let (files, interval) = {
            let state = self.state.lock();
            (state.config.files.clone(), state.config.reload.interval)
        };
        if let Some(watcher) = self.watcher.lock().take() {
            tokio::spawn(watcher.run(source, self.clone(), commands, files, interval));
        }
    }

    /// The sockets of all open listeners, for the process that takes over.
    pub fn sockets(&self) -> Vec<Arc<Listener>> {
        let state = self.state.lock();
        state.doors.iter().map(|door| door.listener.clone()).chain([self.admin_socket.clone()]).collect()
    }

    /// Waits until every service that is not optional has a usable credential, `limit` at most.
    async fn wait_until_ready(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let is_ready = || {
            let snapshot = self.runtime.current();
            snapshot.services.iter().all(|service| service.optional || service.credential.is_ready())
        };
        while !is_ready() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Asks for a reload.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// The open listeners.
    pub fn listeners(&self) -> Vec<Bound> {
        let state = self.state.lock();
        state.doors.iter().map(|door| door.bound.clone()).chain([self.admin.clone()]).collect()
    }

    /// Stops because another process serves on the same sockets. Callers that are busy are told so with their next answer, and
    /// have a moment to come with another request.
    pub async fn stop_relieved(&self) {
        self.plane.drain();
        self.close();
        let drain = self.state.lock().config.shutdown.drain;
        tokio::time::sleep(LAST_REQUESTS.min(drain)).await;
        self.stop().await;
    }

    fn close(&self) {
        let mut state = self.state.lock();
        state.stopping = true;
        state.doors.close();
    }

    /// Stops accepting, lets requests in flight finish within `shutdown.drain`, and ends the workers.
    pub async fn stop(&self) {
        let drain = self.state.lock().config.shutdown.drain;
        let deadline = Instant::now() + drain;
        tracing::info!(
            requests.in_flight = self.plane.in_flight(),
            drain.seconds = drain.as_secs_f64(),
            "draining"
        );
        self.plane.drain();
        self.close();
        let mut idle = 0;
        // Twice: a request may just have been accepted and not yet read.
        while idle < 2 && Instant::now() < deadline {
            idle = if self.plane.in_flight() == 0 { idle + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.refresh_tokens.shut_down().await;
        let traces = std::mem::take(&mut self.state.lock().traces);
        traces.end().await;
        match self.plane.in_flight() {
            0 => tracing::info!("stopped"),
            cut => tracing::warn!(
                requests.cut = cut,
                "stopped: the drain time was over before these requests were"
            ),
        }
        let workers = std::mem::take(&mut self.state.lock().workers);
        workers.into_iter().for_each(Worker::end);
    }
}

impl reload::Target for App {
    fn take(&self, config: Config) -> Result<Report, String> {
        self.change(config).map_err(|error| format!("{error:#}"))
    }

    fn reload_certificates(&self) -> Vec<Reloaded> {
        let listeners: Vec<_> = {
            let state = self.state.lock();
            let of_door = |door: &OpenDoor| Some((door.tls.clone()?, door.bound.address.clone()));
            state.doors.iter().filter_map(of_door).collect()
        };
        let mut reloaded = self.workshop.tls.reload();
        reloaded.extend(listeners.iter().filter_map(|(tls, address)| tls.reload(address)));
        reloaded.extend(self.runtime.current().intercept.as_ref().and_then(|authority| authority.reload()));
        if reloaded.iter().any(|one| one.result.is_ok()) {
            // Their dates are others.
            self.certificates.send_modify(|_| ());
        }
        reloaded
    }
}

impl App {
    /// First all that can fail, without a change to what runs; then the change, which cannot.
    fn change(&self, config: Config) -> anyhow::Result<Report> {
        let mut state = self.state.lock();
        anyhow::ensure!(!state.stopping, "Sidekey is stopping");
        let prepare = || {
            let services = self.workshop.prepare(&state.services, &config)?;
            let planned = state.doors.plan(&config, &self.metrics.connections())?;
            let connects = Connects::new(&self.workshop, &config, self.runtime.current().intercept.clone())?;
            let tracing = state.traces.prepare(&self.workshop, &config)?;
            let mut ready = Vec::new();
            for door in planned.opened() {
                for worker in 0..state.workers.len() {
                    ready.push((worker, Ready::new(door, &self.plane)?));
                }
            }
            anyhow::Ok((services, planned, connects, tracing, ready))
        };
        let discard = |_: &anyhow::Error| services::discard(&state.services, &config, &self.metrics);
        let (services, planned, connects, tracing, ready) = prepare().inspect_err(discard)?;
        let opened: Vec<_> = planned.opened().map(|door| door.bound.clone()).collect();

        let tracer = state.traces.take(tracing, &self.metrics.traces());
        self.workshop.traces.set(tracer.clone());
        let services = services.start(&mut state.services, &self.metrics);
        self.runtime.replace(snapshot(&config, &services, connects, tracer));
        for (worker, ready) in ready {
            state.workers[worker].serve(ready);
        }
        let closed = state.doors.take(planned);
        opened.iter().for_each(Bound::announce);
        state.doors.close_old(&closed);
        let mut report = services::retire(&state.services, &services, &self.metrics);
        restart_only::compare(&state.config, &config, &mut report);
        self.admin_rules.replace(&config.admin);
        // One that was set by the admin API stays, unless somebody has written another one since.
        if let Some(log) = self.log.get().filter(|_| state.config.log.level != config.log.level) {
            log.set(&config.log);
        }
        report.listeners = opened.iter().map(|bound| format!("opened {}", bound.address)).collect();
        report.listeners.extend(closed.iter().map(|door| format!("closed {}", door.bound.address)));
        self.certificates.send_replace(expiry::files(&config));
        state.services = services;
        state.config = config;
        Ok(report)
    }
}

/// What becomes of a `CONNECT`.
struct Connects {
    intercept: Option<Arc<InterceptionCa>>,
    outside: Option<Arc<PassthroughConnector>>,
}

impl Connects {
    /// `running` is the authority in use, which stays where it is the one of the configuration.
    fn new(
        workshop: &Workshop,
        config: &Config,
        running: Option<Arc<InterceptionCa>>,
    ) -> anyhow::Result<Self> {
        let intercept = match (&config.intercept, running) {
            (Some(wanted), Some(running)) if running.is_of(wanted) => Some(running),
            (Some(wanted), _) => Some(Arc::new(InterceptionCa::new(wanted)?)),
            (None, _) => None,
        };
        let outside = match &config.unmatched {
            Unmatched::Deny => None,
            Unmatched::Tunnel(settings) => {
                Some(Arc::new(PassthroughConnector::new(settings.clone(), workshop.resolver.clone())))
            }
        };
        Ok(Self { intercept, outside })
    }
}

fn snapshot(
    config: &Config,
    services: &Services,
    connects: Connects,
    tracer: Option<Arc<Tracer>>,
) -> Snapshot {
    Snapshot {
        routes: Routes::new(&config.services),
        services: services.in_order(),
        access_log: config.log.access,
        intercept: connects.intercept,
        passthrough: connects.outside,
        max_connections: descriptor_limit::callers(config),
        tracer,
    }
}

async fn sweep(runtime: Arc<Runtime>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for service in &runtime.current().services {
            service.upstream.sweep();
        }
    }
}
