//! The composition root: builds everything from a [`Config`], starts it, and ends it. The only module that sees all
//! others; wiring, no logic.
//!
//! ```text
//! services   configuration -> services at run time, with their refreshers
//! doors      configuration -> open sockets
//! worker     one thread that serves them
//! pages      the admin listener
//! ```
//!
//! Threads: one control thread (refreshers, admin, signals) and `threads` workers, each with an event loop of its own on
//! which a connection stays for its whole life.

mod doors;
mod pages;
mod services;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use prometheus::Registry;

use crate::admin::Admin;
use crate::authority::Authority;
use crate::config::{Config, Listen, Unmatched};
use crate::dns::Resolver;
use crate::listener::Listener;
use crate::metrics::Metrics;
use crate::proxy::DataPlane;
use crate::route::Routes;
use crate::runtime::{Runtime, Snapshot};
use crate::tls::TlsClients;
use crate::token::chain::Chains;
use crate::token::state::StateDir;
use crate::upstream::Outside;

use doors::Doors;
use services::{Services, Workshop};
use worker::Worker;

/// How often connections that were idle for too long are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Sidekey, running.
pub struct App {
    plane: Arc<DataPlane>,
    admin: Bound,
    chains: Arc<Chains>,
    state: Mutex<State>,
}

/// What a reload changes.
struct State {
    config: Config,
    doors: Doors,
    workers: Vec<Worker>,
}

/// A listener that is open.
#[derive(Debug, Clone)]
pub struct Bound {
    /// `proxy`, `service` or `admin`.
    pub kind: &'static str,
    /// The service, for a listener of its own.
    pub service: Option<String>,
    /// The address as bound.
    pub address: Listen,
}

impl Bound {
    fn announce(&self) {
        let (kind, service) = (self.kind, self.service.as_deref());
        tracing::info!(listener.kind = kind, listener.address = %self.address, service.name = service, "listening");
    }
}

impl App {
    /// Starts everything, on the current tokio runtime and on worker threads of its own; all listeners are open then.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::new(&registry)?);
        let resolver =
            Resolver::from_system().context("cannot read this machine's resolver configuration")?;
        let chains = Arc::new(Chains::new(config.state.as_ref().map(StateDir::open).transpose()?));
        let (tls, chains_of) = (Arc::new(TlsClients::new()), chains.clone());
        let workshop = Workshop { metrics: metrics.clone(), tls, resolver, chains: chains_of };

        let doors = Doors::open(config)?;
        let admin = Listener::bind(&config.admin)?;
        let services = Services::start(&workshop, config)?;

        let runtime = Arc::new(Runtime::new(snapshot(&workshop, config, &services)?));
        let plane = Arc::new(DataPlane::new(runtime.clone(), metrics.clone()));
        let admin_bound = Bound { kind: "admin", service: None, address: admin.address.clone() };
        pages::serve(admin, Admin::new(runtime.clone(), registry, metrics))?;
        tokio::spawn(sweep(runtime));
        tokio::spawn(workshop.tls.clone().follow_files());

        let workers = (0..config.threads).map(Worker::start).collect::<anyhow::Result<Vec<_>>>()?;
        for door in doors.iter() {
            for worker in &workers {
                worker.serve(door, &plane)?;
            }
        }
        let state = Mutex::new(State { config: config.clone(), doors, workers });
        let app = Self { plane, admin: admin_bound, chains, state };
        app.listeners().iter().for_each(Bound::announce);
        Ok(app)
    }

    /// The open listeners.
    pub fn listeners(&self) -> Vec<Bound> {
        let state = self.state.lock();
        state.doors.iter().map(|door| door.bound.clone()).chain([self.admin.clone()]).collect()
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
        self.state.lock().doors.close();
        let mut idle = 0;
        // Twice: a request may just have been accepted and not yet read.
        while idle < 2 && Instant::now() < deadline {
            idle = if self.plane.in_flight() == 0 { idle + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.chains.end().await;
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

fn snapshot(workshop: &Workshop, config: &Config, services: &Services) -> anyhow::Result<Snapshot> {
    Ok(Snapshot {
        routes: Routes::new(&config.services),
        services: services.in_order().into(),
        access_log: config.log.access,
        intercept: config.intercept.as_ref().map(Authority::new).transpose()?.map(Arc::new),
        outside: match &config.unmatched {
            Unmatched::Deny => None,
            Unmatched::Tunnel(settings) => {
                Some(Arc::new(Outside::new(settings.clone(), workshop.resolver.clone())))
            }
        },
    })
}

async fn sweep(runtime: Arc<Runtime>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for service in &runtime.current().services {
            service.upstream.sweep();
        }
    }
}
