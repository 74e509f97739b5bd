//! The sockets that callers come in by.

use std::sync::Arc;

use tokio::sync::watch;

use crate::caller_tls::CallerTlsServer;
use crate::config::{self, Config};
use crate::listener::Listener;
use crate::proxy::Door;

use super::Bound;

/// A socket that is open, and what is said of it.
pub(super) struct OpenDoor {
    pub(super) listener: Arc<Listener>,
    pub(super) bound: Bound,
    pub(super) door: Arc<Door>,
    /// Tells the workers to accept no more.
    pub(super) stop: watch::Sender<bool>,
}

/// A listener as the configuration has it: the service, where it belongs to one, and the address with its TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    service: Option<String>,
    listen: config::Listener,
}

/// All of them.
pub(super) struct Doors(Vec<OpenDoor>);

impl Doors {
    /// Opens every listener of a configuration, or none.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        wanted(config).map(|wanted| OpenDoor::open(&wanted)).collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenDoor> {
        self.0.iter()
    }

    /// Accepts no more, anywhere.
    pub(super) fn close(&mut self) {
        self.0.drain(..).for_each(|door| door.close());
    }
}

impl OpenDoor {
    fn open(wanted: &Wanted) -> anyhow::Result<Self> {
        let listener = Arc::new(Listener::bind(&wanted.listen.address)?);
        Self::new(wanted, listener)
    }

    fn new(wanted: &Wanted, listener: Arc<Listener>) -> anyhow::Result<Self> {
        let bound = Bound {
            kind: if wanted.service.is_some() { "service" } else { "proxy" },
            service: wanted.service.clone(),
            address: listener.address.clone(),
        };
        let tls = wanted.listen.tls.clone().map(CallerTlsServer::new).transpose()?.map(Arc::new);
        if let Some(tls) = &tls {
            tokio::spawn(CallerTlsServer::watch(Arc::downgrade(tls), listener.address.to_string()));
        }
        let door = Arc::new(Door::new(wanted.service.clone(), tls));
        Ok(Self { listener, bound, door, stop: watch::Sender::new(false) })
    }

    /// Accepts no more. Connections that are open end with the request they are busy with.
    fn close(&self) {
        self.door.close();
        self.stop.send_replace(true);
    }
}

fn wanted(config: &Config) -> impl Iterator<Item = Wanted> {
    let shared = config.listen.iter().map(|listen| Wanted { service: None, listen: listen.clone() });
    let own = config.services.iter().flat_map(|service| {
        let wanted = |listen: &config::Listener| Wanted {
            service: Some(service.name.clone()),
            listen: listen.clone(),
        };
        service.listen.iter().map(wanted)
    });
    shared.chain(own)
}
