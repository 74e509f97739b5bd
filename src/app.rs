//! The composition root: builds everything from a [`Config`], starts it, and ends it. The only module that sees all
//! others; wiring, no logic.
//!
//! Threads: one control thread (refreshers, admin, signals) and `threads` workers, each with an event loop of its own on
//! which a connection stays for its whole life.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::{Fds, ListenFds, ShutdownWatch};
use pingora::services::Service as _;
use pingora::services::listening::Service as Listening;
use prometheus::Registry;
use tokio::sync::watch;

use crate::admin::{self, Admin};
use crate::config::{self, Auth, Config, Listen, OAuth2};
use crate::credential::Credential;
use crate::dns::Resolver;
use crate::listener::{Listener, TokioListener};
use crate::metrics::Metrics;
use crate::proxy::{Entrance, Proxy};
use crate::route::Routes;
use crate::service::{LastFailure, Service};
use crate::tls::{TlsClients, server_name};
use crate::token::endpoint::TokenEndpoint;
use crate::token::{Store, TokenSource, grants, refresher};
use crate::upstream::Upstream;

/// How often connections that were idle for too long are looked for.
const SWEEP: Duration = Duration::from_secs(15);

/// Sidekey, running.
pub struct App {
    proxy: Arc<Proxy>,
    /// Where each service and every caller finds it: kind, service name, address.
    listeners: Vec<Bound>,
    stop_accepting: watch::Sender<bool>,
    stopped: watch::Sender<bool>,
    workers: Vec<JoinHandle<()>>,
    drain: Duration,
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

impl App {
    /// Starts everything, on the current tokio runtime and on worker threads of its own; all listeners are open then.
    pub fn start(config: &Config) -> anyhow::Result<Self> {
        let registry = Registry::new();
        let metrics = Arc::new(Metrics::new(&registry)?);
        let tls = TlsClients::new();
        let resolver =
            Resolver::from_system().context("cannot read this machine's resolver configuration")?;

        let sockets = bind_all(config)?;
        let admin = Listener::bind(&config.admin.listen)?;

        let stores = start_refreshers(config, &metrics, &tls, &resolver)?;
        let services = config
            .services
            .iter()
            .map(|service| build_service(service, &metrics, &tls, &resolver, &stores))
            .collect::<anyhow::Result<Arc<[Service]>>>()?;
        let routes = Routes::new(&config.services);
        let proxy = Arc::new(Proxy::new(routes, services.clone(), metrics.clone(), config.log.access));

        let mut listeners: Vec<_> = sockets.iter().map(|(_, bound, _)| bound.clone()).collect();
        listeners.push(Bound { kind: "admin", service: None, address: admin.address.clone() });
        let shown = services.clone();
        let shown: admin::Services = Arc::new(move || shown.clone());
        serve_admin(admin, Admin::new(&config.admin, shown, registry, metrics))?;
        tokio::spawn(sweep(services));

        let (stop_accepting, stop) = watch::channel(false);
        let (stopped, all_stopped) = watch::channel(false);
        let workers = (0..config.threads)
            .map(|number| start_worker(number, &sockets, &proxy, &stop, &all_stopped))
            .collect::<anyhow::Result<Vec<_>>>()?;
        for bound in &listeners {
            let (kind, service) = (bound.kind, bound.service.as_deref());
            tracing::info!(listener.kind = kind, listener.address = %bound.address, service.name = service, "listening");
        }
        Ok(Self { proxy, listeners, stop_accepting, stopped, workers, drain: config.shutdown.drain })
    }

    /// The open listeners.
    pub fn listeners(&self) -> &[Bound] {
        &self.listeners
    }

    /// Stops accepting, lets requests in flight finish within `shutdown.drain`, and ends the workers.
    pub async fn stop(self) {
        let deadline = Instant::now() + self.drain;
        tracing::info!(
            requests.in_flight = self.proxy.in_flight(),
            drain.seconds = self.drain.as_secs_f64(),
            "draining"
        );
        self.proxy.drain();
        self.stop_accepting.send_replace(true);
        let mut idle = 0;
        // Twice: a request may just have been accepted and not yet read.
        while idle < 2 && Instant::now() < deadline {
            idle = if self.proxy.in_flight() == 0 { idle + 1 } else { 0 };
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        match self.proxy.in_flight() {
            0 => tracing::info!("stopped"),
            cut => tracing::warn!(
                requests.cut = cut,
                "stopped: the drain time was over before these requests were"
            ),
        }
        self.stopped.send_replace(true);
        for worker in self.workers {
            let _ = worker.join();
        }
    }
}

/// A socket, what is said of it, and the service that it belongs to.
type Door = (Listener, Bound, Option<usize>);

fn bind_all(config: &Config) -> anyhow::Result<Vec<Door>> {
    let mut doors = Vec::new();
    for address in &config.listen {
        let listener = Listener::bind(address)?;
        let bound = Bound { kind: "proxy", service: None, address: listener.address.clone() };
        doors.push((listener, bound, None));
    }
    for (index, service) in config.services.iter().enumerate() {
        for address in &service.listen {
            let listener = Listener::bind(address)?;
            let bound = Bound {
                kind: "service",
                service: Some(service.name.clone()),
                address: listener.address.clone(),
            };
            doors.push((listener, bound, Some(index)));
        }
    }
    Ok(doors)
}

/// Starts one refresher for each distinct credential: services with equal ones share a token.
fn start_refreshers(
    config: &Config,
    metrics: &Metrics,
    tls: &TlsClients,
    resolver: &Resolver,
) -> anyhow::Result<HashMap<OAuth2, Arc<Store>>> {
    let mut users: HashMap<&OAuth2, Vec<&str>> = HashMap::new();
    for service in &config.services {
        if let Auth::OAuth2(oauth2) = &service.auth {
            users.entry(oauth2).or_default().push(&service.name);
        }
    }
    let mut stores = HashMap::new();
    for (oauth2, names) in users {
        let endpoint = TokenEndpoint::new(oauth2, &tls.client(&oauth2.tls)?, resolver.clone())?;
        let source: Arc<dyn TokenSource> =
            grants::source(endpoint, names.iter().map(|name| metrics.token(name)).collect());
        let store = Arc::new(Store::new());
        tokio::spawn(refresher::run(names.join(", "), source, store.clone()));
        stores.insert(oauth2.clone(), store);
    }
    Ok(stores)
}

fn build_service(
    config: &config::Service,
    metrics: &Metrics,
    tls: &TlsClients,
    resolver: &Resolver,
    stores: &HashMap<OAuth2, Arc<Store>>,
) -> anyhow::Result<Service> {
    let upstream_tls = if config.upstream.tls {
        let name = server_name(&config.upstream.host, &config.tls)
            .context("the upstream's name cannot be verified")?;
        Some((tls.client(&config.tls)?, name))
    } else {
        None
    };
    Ok(Service {
        name: config.name.clone(),
        kind: config.auth.kind(),
        credential: Credential::new(&config.auth, |oauth2| stores[oauth2].clone()),
        upstream: Upstream::new(config, upstream_tls, resolver.clone()),
        token_wait: config.token_wait,
        optional: config.optional,
        metrics: metrics.service(&config.name),
        upstream_url: config.upstream.to_string(),
        last_failure: LastFailure::default(),
    })
}

fn serve_admin(listener: Listener, admin: Admin) -> anyhow::Result<()> {
    let router = admin.router();
    match listener.into_tokio()? {
        TokioListener::Tcp(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
        TokioListener::Unix(socket) => tokio::spawn(async move { axum::serve(socket, router).await }),
    };
    Ok(())
}

async fn sweep(services: Arc<[Service]>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for service in services.iter() {
            service.upstream.sweep();
        }
    }
}

/// One worker: its own descriptors of every socket, its own event loop, its own thread.
fn start_worker(
    number: usize,
    doors: &[Door],
    proxy: &Arc<Proxy>,
    stop: &ShutdownWatch,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<JoinHandle<()>> {
    let descriptors: ListenFds = Arc::new(Mutex::new(Fds::new()));
    let mut accepting = Vec::new();
    for (listener, bound, own) in doors {
        let (address, endpoint) = match &bound.address {
            Listen::Tcp(tcp) => (tcp.to_string(), ListenerConfig::tcp(tcp.to_string())),
            Listen::Unix(path) => {
                let address = path.to_str().context("the path of a socket is not UTF-8")?.to_owned();
                // As the umask made them: the engine's own choice lets every user of the machine in.
                let permissions = std::fs::metadata(path)?.permissions();
                (address.clone(), ListenerConfig::uds(address).permissions(permissions))
            }
        };
        descriptors.lock().add(address.clone(), listener.descriptor()?);
        let mut service = Listening::new(address, Entrance::new(proxy.clone(), *own));
        // The proxy reads into buffers of its own and writes whole messages.
        service.add_listener(endpoint.l4_buffer(L4BufferSettings::unbuffered()));
        accepting.push(service);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (stop, mut stopped) = (stop.clone(), stopped.clone());
    let thread = std::thread::Builder::new().name(format!("sidekey-worker-{number}"));
    Ok(thread.spawn(move || {
        runtime.block_on(async {
            for mut service in accepting {
                let (descriptors, stop) = (descriptors.clone(), stop.clone());
                tokio::spawn(async move { service.start_service(Some(descriptors), stop, 1).await });
            }
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
    })?)
}
