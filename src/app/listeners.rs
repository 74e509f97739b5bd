//! The sockets that callers come in by.

use std::sync::Arc;

use tokio::sync::watch;

use crate::config;
use crate::config::{Config, ListenAddress};
use crate::metrics::ConnectionMetrics;
use crate::net::listener::{BindError, InheritedSockets, Listener};
use crate::proxy::ListenerContext;
use crate::tls::server::ListenerTls;

use super::Bound;

/// A socket that is open, and what is said of it.
pub(super) struct OpenDoor {
    pub(super) listener: Arc<Listener>,
    pub(super) bound: Bound,
    pub(super) door: Arc<ListenerContext>,
    pub(super) tls: Option<Arc<ListenerTls>>,
    /// Tells the workers to accept no more.
    pub(super) stop: watch::Sender<bool>,
    wanted: Wanted,
}

/// A listener as the configuration has it: the service, where it belongs to one, and the address with its TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    service: Option<String>,
    listen: config::ListenerConfig,
}

/// All of them.
pub(super) struct Doors(Vec<OpenDoor>);

/// The doors of another configuration: what is kept, by position among those that are open, and what is new.
pub(super) struct Planned(Vec<Plan>);

enum Plan {
    Keep(usize),
    New(Box<OpenDoor>),
}

impl Doors {
    /// Opens every listener of a configuration, or none.
    pub(super) fn open(
        config: &Config,
        inherited: &mut InheritedSockets,
        metrics: &ConnectionMetrics,
    ) -> anyhow::Result<Self> {
        let doors = wanted(config).map(|wanted| {
            let listener = inherited.listener(&wanted.listen.address)?;
            OpenDoor::new(Arc::new(listener), wanted, metrics)
        });
        doors.collect::<anyhow::Result<_>>().map(Self)
    }

    /// Opens what another configuration wants and is not open yet. Those that are open stay so.
    pub(super) fn plan(&self, config: &Config, metrics: &ConnectionMetrics) -> anyhow::Result<Planned> {
        let mut kept = vec![false; self.0.len()];
        let mut plan = |wanted: Wanted| {
            // Port 0 may be wanted more than once.
            let same = |(index, open): (usize, &OpenDoor)| !kept[index] && open.wanted == wanted;
            if let Some(same) = self.0.iter().enumerate().position(same) {
                kept[same] = true;
                return Ok(Plan::Keep(same));
            }
            // An address that goes from one service to another: the socket stays, and whoever waits at it is served.
            let handed_on = self.0.iter().find(|open| open.listener.address == wanted.listen.address);
            let listener = handed_on.map_or_else(|| wanted.bind(), |open| Ok(open.listener.clone()))?;
            Ok(Plan::New(Box::new(OpenDoor::new(listener, wanted, metrics)?)))
        };
        wanted(config).map(&mut plan).collect::<anyhow::Result<_>>().map(Planned)
    }

    /// Goes over to the planned doors; returns those that are to be closed.
    pub(super) fn take(&mut self, planned: Planned) -> Vec<OpenDoor> {
        let mut old: Vec<_> = std::mem::take(&mut self.0).into_iter().map(Some).collect();
        for plan in planned.0 {
            self.0.push(match plan {
                Plan::Keep(index) => old[index].take().expect("each is kept once"),
                Plan::New(door) => *door,
            });
        }
        old.into_iter().flatten().collect()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenDoor> {
        self.0.iter()
    }

    fn is_open(&self, address: &ListenAddress) -> bool {
        self.0.iter().any(|open| open.wanted.listen.address == *address)
    }

    /// Closes doors that a new configuration does without.
    pub(super) fn close_old(&self, old: &[OpenDoor]) {
        for door in old {
            door.close();
            door.bound.announce_closed();
            if let ListenAddress::Unix(path) = &door.wanted.listen.address
                && !self.is_open(&door.wanted.listen.address)
            {
                // One that is gone already is as good.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Accepts no more, anywhere.
    pub(super) fn close(&mut self) {
        self.0.drain(..).for_each(|door| door.close());
    }
}

impl Planned {
    /// Those that were not open before.
    pub(super) fn opened(&self) -> impl Iterator<Item = &OpenDoor> {
        self.0.iter().filter_map(|plan| match plan {
            Plan::New(door) => Some(&**door),
            Plan::Keep(_) => None,
        })
    }
}

impl Wanted {
    fn bind(&self) -> Result<Arc<Listener>, BindError> {
        Listener::bind(&self.listen.address).map(Arc::new)
    }
}

impl OpenDoor {
    fn new(listener: Arc<Listener>, wanted: Wanted, metrics: &ConnectionMetrics) -> anyhow::Result<Self> {
        let bound = Bound {
            kind: if wanted.service.is_some() { "service" } else { "proxy" },
            service: wanted.service.clone(),
            address: listener.address.clone(),
        };
        let tls = wanted.listen.tls.clone().map(ListenerTls::new).transpose()?.map(Arc::new);
        let door = Arc::new(ListenerContext::new(
            wanted.service.clone(),
            tls.clone(),
            metrics.listener(listener.address.to_string()),
        ));
        Ok(Self { listener, bound, door, tls, stop: watch::Sender::new(false), wanted })
    }

    /// Accepts no more. Connections that are open end with the request they are busy with.
    pub(super) fn close(&self) {
        self.door.close();
        self.stop.send_replace(true);
    }
}

fn wanted(config: &Config) -> impl Iterator<Item = Wanted> {
    let shared = config.listen.iter().map(|listen| Wanted { service: None, listen: listen.clone() });
    let own = config.services.iter().flat_map(|service| {
        let wanted = |listen: &config::ListenerConfig| Wanted {
            service: Some(service.name.clone()),
            listen: listen.clone(),
        };
        service.listen.iter().map(wanted)
    });
    shared.chain(own)
}
