//! The listening sockets that callers connect to, opened and closed as the configuration changes.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config;
use crate::config::{Config, ListenAddress};
use crate::metrics::ConnectionMetrics;
use crate::net::listener::{BindError, BoundListener, InheritedSockets};
use crate::proxy::{Exposure, ListenerContext};
use crate::tls::server::ListenerTls;

/// An open listener, as it is logged and reported.
#[derive(Debug, Clone)]
pub struct ListenerInfo {
    /// `proxy`, `service` or `admin`.
    pub kind: &'static str,
    /// The service that the listener is dedicated to, if it is.
    pub service: Option<String>,
    /// The address as bound.
    pub address: ListenAddress,
}

/// An open listener of the data plane.
pub(super) struct ActiveListener {
    pub(super) socket: Arc<BoundListener>,
    pub(super) info: ListenerInfo,
    pub(super) context: Arc<ListenerContext>,
    pub(super) tls: Option<Arc<ListenerTls>>,
    /// True once the workers are to accept no more.
    pub(super) stop: watch::Sender<bool>,
    spec: ListenerSpec,
}

/// A listener as configured: its service if it is dedicated to one, its address and its TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ListenerSpec {
    service: Option<String>,
    listen: config::ListenerConfig,
}

/// All open listeners of the data plane.
pub(super) struct Listeners(Vec<ActiveListener>);

/// The listeners of a new configuration: those that are kept, and those that are opened for it.
pub(super) struct ListenerPlan(Vec<PlannedListener>);

enum PlannedListener {
    /// The open listener at this position.
    Keep(usize),
    Open(Box<ActiveListener>),
}

impl ListenerInfo {
    pub(super) fn announce(&self) {
        let (kind, service) = (self.kind, self.service.as_deref());
        tracing::info!(listener.kind = kind, listener.address = %self.address, sidekey.service = service, "listening");
    }

    fn announce_closed(&self) {
        let (kind, service) = (self.kind, self.service.as_deref());
        tracing::info!(listener.kind = kind, listener.address = %self.address, sidekey.service = service, "listener closed");
    }
}

impl Listeners {
    /// Opens every listener of a configuration, or none.
    pub(super) fn open(
        config: &Config,
        inherited: &mut InheritedSockets,
        metrics: &ConnectionMetrics,
    ) -> anyhow::Result<Self> {
        let listeners = specs(config).map(|spec| {
            let socket = inherited.listener(&spec.listen.address)?;
            ActiveListener::new(Arc::new(socket), spec, metrics)
        });
        listeners.collect::<anyhow::Result<_>>().map(Self)
    }

    /// Opens the listeners of a new configuration that are not open yet. Open ones are left alone.
    pub(super) fn plan(&self, config: &Config, metrics: &ConnectionMetrics) -> anyhow::Result<ListenerPlan> {
        let mut kept = vec![false; self.0.len()];
        let mut plan = |spec: ListenerSpec| {
            // Port 0 may be configured more than once.
            let is_same = |(index, open): (usize, &ActiveListener)| !kept[index] && open.spec == spec;
            if let Some(index) = self.0.iter().enumerate().position(is_same) {
                kept[index] = true;
                return Ok(PlannedListener::Keep(index));
            }
            // If an address goes from one service to another, the socket is kept with the connections in its backlog.
            let same_address = self.0.iter().find(|open| open.socket.address == spec.listen.address);
            let socket = same_address.map_or_else(|| spec.bind(), |open| Ok(open.socket.clone()))?;
            Ok(PlannedListener::Open(Box::new(ActiveListener::new(socket, spec, metrics)?)))
        };
        specs(config).map(&mut plan).collect::<anyhow::Result<_>>().map(ListenerPlan)
    }

    /// Puts the planned listeners in place; returns those that are to be closed.
    pub(super) fn apply(&mut self, plan: ListenerPlan) -> Vec<ActiveListener> {
        let mut old: Vec<_> = std::mem::take(&mut self.0).into_iter().map(Some).collect();
        for planned in plan.0 {
            self.0.push(match planned {
                PlannedListener::Keep(index) => old[index].take().expect("each is kept once"),
                PlannedListener::Open(listener) => *listener,
            });
        }
        old.into_iter().flatten().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ActiveListener> {
        self.0.iter()
    }

    fn is_open(&self, address: &ListenAddress) -> bool {
        self.0.iter().any(|open| open.spec.listen.address == *address)
    }

    /// Closes listeners that a new configuration does not have.
    pub(super) fn close_removed(&self, removed: &[ActiveListener]) {
        for listener in removed {
            listener.close();
            listener.info.announce_closed();
            if let ListenAddress::Unix(path) = &listener.spec.listen.address
                && !self.is_open(&listener.spec.listen.address)
            {
                // It does not matter if the file is gone already.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Closes all listeners.
    pub(super) fn close(&mut self) {
        self.0.drain(..).for_each(|listener| listener.close());
    }
}

impl ListenerPlan {
    /// The listeners that were not open before.
    pub(super) fn opened(&self) -> impl Iterator<Item = &ActiveListener> {
        self.0.iter().filter_map(|planned| match planned {
            PlannedListener::Open(listener) => Some(&**listener),
            PlannedListener::Keep(_) => None,
        })
    }
}

impl ListenerSpec {
    fn bind(&self) -> Result<Arc<BoundListener>, BindError> {
        BoundListener::bind(&self.listen.address).map(Arc::new)
    }
}

impl ActiveListener {
    fn new(
        socket: Arc<BoundListener>,
        spec: ListenerSpec,
        metrics: &ConnectionMetrics,
    ) -> anyhow::Result<Self> {
        let info = ListenerInfo {
            kind: if spec.service.is_some() { "service" } else { "proxy" },
            service: spec.service.clone(),
            address: socket.address.clone(),
        };
        let tls = spec.listen.tls.clone().map(ListenerTls::new).transpose()?.map(Arc::new);
        let connections = metrics.listener(socket.address.to_string());
        let exposure = Exposure::of(&spec.listen.address);
        let context = ListenerContext::new(spec.service.clone(), exposure, tls.clone(), connections);
        let context = Arc::new(context.requiring_caller(spec.listen.requires_caller));
        Ok(Self { socket, info, context, tls, stop: watch::Sender::new(false), spec })
    }

    /// Stops accepting. Each open connection ends with the request in progress.
    fn close(&self) {
        self.context.close();
        self.stop.send_replace(true);
    }
}

/// The listeners that a configuration has.
fn specs(config: &Config) -> impl Iterator<Item = ListenerSpec> {
    let shared = config.listen.iter().map(|listen| ListenerSpec { service: None, listen: listen.clone() });
    let of_service = |name: &str, listen: &[config::ListenerConfig]| -> Vec<_> {
        let spec = |listen: &config::ListenerConfig| ListenerSpec {
            service: Some(name.to_owned()),
            listen: listen.clone(),
        };
        listen.iter().map(spec).collect()
    };
    let running = config.services.iter().flat_map(move |service| of_service(&service.name, &service.listen));
    // A request to a service that does not run is answered, too.
    let inactive =
        config.inactive.iter().flat_map(move |service| of_service(&service.name, &service.place.listen));
    shared.chain(running).chain(inactive)
}
