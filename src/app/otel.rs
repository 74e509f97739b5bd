//! Traces: on, off, or elsewhere, as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, Tracing};
use crate::credential;
use crate::metrics::TraceMetrics;
use crate::otel::{Collector, Export, Tracer};

use super::services::Workshop;

/// The end of the process waits so long for the last export.
const LAST_EXPORT: Duration = Duration::from_secs(3);

/// The exports that run.
#[derive(Default)]
pub(super) struct Traces {
    current: Option<Running>,
    /// Of configurations before: requests that began under them may still be going on.
    old: Vec<Export>,
}

struct Running {
    config: Tracing,
    tracer: Arc<Tracer>,
    export: Export,
}

/// What a configuration wants of traces: what could fail is done.
pub(super) enum Prepared {
    /// What there is.
    Same,
    /// None.
    Off,
    /// Others.
    New(Box<(Tracing, Collector)>),
}

impl Traces {
    /// Makes what a configuration wants and does not run yet. Changes nothing.
    pub(super) fn prepare(&self, workshop: &Workshop, config: &Config) -> anyhow::Result<Prepared> {
        let running = self.current.as_ref().map(|running| &running.config);
        Ok(match &config.tracing {
            None => Prepared::Off,
            wanted if wanted.as_ref() == running => Prepared::Same,
            Some(wanted) => {
                let (tls, headers) =
                    (workshop.tls.client(&wanted.tls)?, credential::collector_headers(wanted));
                let collector = Collector::new(wanted.url.clone(), headers, tls, workshop.resolver.clone());
                Prepared::New(Box::new((wanted.clone(), collector)))
            }
        })
    }

    /// Makes it so; gives what records from now on.
    pub(super) fn take(&mut self, prepared: Prepared, metrics: &TraceMetrics) -> Option<Arc<Tracer>> {
        self.old.retain(|export| !export.is_over());
        match prepared {
            Prepared::Same => {}
            Prepared::Off => self.retire(),
            Prepared::New(new) => {
                self.retire();
                let (config, collector) = *new;
                let interval = config.export_interval;
                let (tracer, export) =
                    Export::start(config.sample_ratio, resource(&config), interval, collector, metrics);
                self.current = Some(Running { config, tracer, export });
            }
        }
        self.current.as_ref().map(|running| running.tracer.clone())
    }

    fn retire(&mut self) {
        self.old.extend(self.current.take().map(|running| running.export));
    }

    /// Exports what has been recorded, as far as there is time.
    pub(super) async fn end(self) {
        let current = self.current.map(|running| running.export);
        let all = self.old.into_iter().chain(current);
        let ending: Vec<_> = all.map(|export| tokio::spawn(export.end(LAST_EXPORT))).collect();
        for ended in ending {
            let _ = ended.await;
        }
    }
}

/// The attributes of the resource; those of the configuration win.
fn resource(config: &Tracing) -> Vec<(String, String)> {
    let own = [
        ("service.name", config.service_name.as_str()),
        ("service.version", env!("CARGO_PKG_VERSION")),
        ("telemetry.sdk.name", "sidekey"),
        ("telemetry.sdk.language", "rust"),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
    ];
    let is_given = |key: &str| key != "service.name" && config.resource.iter().any(|(given, _)| given == key);
    let own = own.into_iter().filter(|(key, _)| !is_given(key));
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let given = config.resource.iter().filter(|(key, _)| key != "service.name");
    own.chain(given.cloned()).collect()
}
