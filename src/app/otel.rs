//! The export of traces, started, replaced and ended as the configuration says.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;

use crate::config::{Config, Tracing};
use crate::credential;
use crate::metrics::TraceMetrics;
use crate::otel::{Collector, ExporterHandle, OtlpClient, SpanOptions, Tracer};

use super::services::ServiceFactory;

/// How long the end of the process waits for the last export.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// The exports that run: the current one, and old ones that are not finished.
#[derive(Default)]
pub(super) struct TraceExport {
    current: Option<ActiveExport>,
    /// Exports of earlier configurations: requests that began under them may still be in flight.
    old: Vec<ExporterHandle>,
}

struct ActiveExport {
    config: Tracing,
    tracer: Arc<Tracer>,
    exporter: ExporterHandle,
}

/// The export that a configuration asks for; everything that can fail is done.
pub(super) enum PreparedExport {
    /// The current export stays.
    Unchanged,
    /// No export.
    Off,
    /// Another export.
    New(Box<(Tracing, OtlpClient)>),
}

impl TraceExport {
    /// Builds the export of a configuration if it does not run yet. Changes nothing.
    pub(super) fn prepare(
        &self,
        factory: &ServiceFactory,
        config: &Config,
    ) -> anyhow::Result<PreparedExport> {
        let running = self.current.as_ref().map(|running| &running.config);
        Ok(match &config.tracing {
            None => PreparedExport::Off,
            configured if configured.as_ref() == running => PreparedExport::Unchanged,
            Some(configured) => {
                let collector = Collector {
                    url: configured.url.clone(),
                    protocol: configured.protocol,
                    headers: credential::collector_headers(configured),
                    resource: resource(configured),
                };
                let tls = factory.tls.client(&configured.tls)?;
                let client = OtlpClient::new(collector, tls, factory.resolver.clone())
                    .context("cannot build the exporter of traces")?;
                PreparedExport::New(Box::new((configured.clone(), client)))
            }
        })
    }

    /// Puts a prepared export in place. Returns the tracer that records from now on, if any.
    pub(super) fn apply(&mut self, prepared: PreparedExport, metrics: &TraceMetrics) -> Option<Arc<Tracer>> {
        self.old.retain(|exporter| !exporter.is_finished());
        match prepared {
            PreparedExport::Unchanged => {}
            PreparedExport::Off => self.retire(),
            PreparedExport::New(new) => {
                self.retire();
                let (config, client) = *new;
                let options =
                    SpanOptions { sample_ratio: config.sample_ratio, interval: config.export_interval };
                let (tracer, exporter) = ExporterHandle::start(options, client, metrics);
                self.current = Some(ActiveExport { config, tracer, exporter });
            }
        }
        self.current.as_ref().map(|running| running.tracer.clone())
    }

    fn retire(&mut self) {
        self.old.extend(self.current.take().map(|running| running.exporter));
    }

    /// Exports the spans that are recorded, within [`FLUSH_TIMEOUT`].
    pub(super) async fn end(self) {
        let current = self.current.map(|running| running.exporter);
        let all = self.old.into_iter().chain(current);
        let ending: Vec<_> = all.map(|exporter| tokio::spawn(exporter.end(FLUSH_TIMEOUT))).collect();
        for ended in ending {
            let _ = ended.await;
        }
    }
}

/// The attributes of the OpenTelemetry resource. Those of the configuration take precedence.
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
