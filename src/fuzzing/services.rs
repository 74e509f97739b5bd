//! Services for requests to go to: one for each place in which a credential is sent.

use std::collections::HashMap;
use std::sync::Arc;

use prometheus::Registry;

use crate::callers::{CallerCounts, CallerPolicy};
use crate::config::{Config, ServiceConfig};
use crate::credential::{READERS, build};
use crate::metrics::Metrics;
use crate::net::dns::Resolver;
use crate::proxy::{ConnectionContext, DataPlane, Exposure, ListenerContext};
use crate::runtime::route::Routes;
use crate::runtime::service::Service;
use crate::runtime::snapshot::{Runtime, Snapshot};
use crate::upstream::{Upstream, UpstreamTls};

/// The secret of every credential.
pub(super) const CREDENTIAL: &str = "CREDENTIAL";

const CONFIG: &str = "services:
  bearer: { upstream: 'https://up.example.com/api', auth: { type: bearer, token: CREDENTIAL } }
  header: { upstream: 'https://up.example.com', auth: { type: api_key, name: X-Api-Key, value: CREDENTIAL } }
  query: { upstream: 'https://up.example.com', auth: { type: api_key, in: query, name: key, value: CREDENTIAL } }
  cookie: { upstream: 'https://up.example.com/a/b', auth: { type: api_key, in: cookie, name: sid, value: CREDENTIAL } }
";

/// Connections from callers, each at a listener that is dedicated to one service.
pub(crate) fn connections() -> Vec<(ServiceConfig, ConnectionContext)> {
    connections_with("")
}

/// The same with further sections of the configuration. If it has callers, one must be known.
pub(super) fn connections_with(sections: &str) -> Vec<(ServiceConfig, ConnectionContext)> {
    let config = configuration(&format!("{sections}{CONFIG}"));
    let metrics = Arc::new(Metrics::new(&Registry::new()).expect("metrics with unique names"));
    let resolver = Resolver::from_system().expect("the resolver configuration of this machine");
    let service = |config: &ServiceConfig| {
        let upstream =
            Arc::new(Upstream::new(config, UpstreamTls::Each(vec![None]), &resolver, None, vec![]));
        Service::new(
            config,
            build(&config.auth, &config.name, |_| None),
            upstream,
            metrics.service(&config.name),
        )
    };
    let snapshot = Snapshot {
        routes: Routes::new(&config.services, &[]),
        services: config.services.iter().map(|config| Arc::new(service(config))).collect(),
        callers: CallerPolicy::new(&config, None, &CallerCounts::default(), &HashMap::new()),
        ..Snapshot::empty()
    };
    let plane = Arc::new(DataPlane::new(Arc::new(Runtime::new(snapshot)), metrics));
    let context = |service: &ServiceConfig| {
        let listener =
            ListenerContext::new(Some(service.name.clone()), Exposure::Network, None, Arc::default());
        let listener = listener.requiring_caller(!config.callers.is_empty());
        ConnectionContext::new(plane.clone(), Arc::new(listener))
    };
    let contexts: Vec<_> = config.services.iter().map(context).collect();
    config.services.into_iter().zip(contexts).collect()
}

/// Reads a configuration that has no error.
pub(super) fn configuration(text: &str) -> Config {
    Config::parse_with(text, "fuzzing.yaml", &|_| None, READERS).unwrap_or_else(|error| panic!("{error}"))
}
