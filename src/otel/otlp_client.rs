//! The SDK's exporter for one collector: protocol, resource and retries.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanExporter as _;
use url::Url;

use super::batch_progress::BatchProgress;
use super::span::Span;
use super::span_data::{scope, span_data};
use super::transport::Transport;
use crate::config::OtlpProtocol;
use crate::net::dns::Resolver;
use crate::net::http_client::{ClientOptions, ReloadingClient};
use crate::tls::client::TlsClient;

/// Limit on the TCP and TLS handshakes with a collector.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The connection of the last export is kept for the next one for this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);
/// Limit on all attempts at one batch. One attempt has a limit of its own.
const BATCH_TIMEOUT: Duration = Duration::from_secs(600);
/// Number of retries of a batch. The queue fills meanwhile.
const MAX_RETRIES: usize = 4;
/// Delay before the first retry. Each further delay is twice as long.
const INITIAL_DELAY: Duration = Duration::from_secs(1);
/// Longest delay before a retry, unless the collector asks for more.
const MAX_DELAY: Duration = Duration::from_secs(30);
/// Longest random addition to a delay, so that many processes do not retry at once.
const MAX_JITTER: Duration = Duration::from_millis(500);

/// A collector, and whose spans it gets.
pub struct Collector {
    /// The URL of exports.
    pub url: Url,
    /// The encoding of exports.
    pub protocol: OtlpProtocol,
    /// Header fields of every export; their values may be secret.
    pub headers: HeaderMap,
    /// Attributes of the OpenTelemetry resource.
    pub resource: Vec<(String, String)>,
}

/// Sends batches of spans to one collector.
pub struct OtlpClient {
    exporter: SpanExporter,
    progress: Arc<BatchProgress>,
    scope: InstrumentationScope,
}

impl OtlpClient {
    /// A client that verifies the collector by `tls`, and resolves its name by `resolver`.
    pub fn new(
        collector: Collector,
        tls: Arc<TlsClient>,
        resolver: Resolver,
    ) -> Result<Self, ExporterBuildError> {
        let Collector { url, protocol, headers, resource } = collector;
        let retries = RetryPolicy::recommended()
            .with_max_retries(MAX_RETRIES)
            .with_initial_delay(INITIAL_DELAY)
            .with_max_delay(MAX_DELAY)
            .with_max_jitter(MAX_JITTER);
        let encoding = match protocol {
            OtlpProtocol::HttpProtobuf => Protocol::HttpBinary,
            OtlpProtocol::HttpJson => Protocol::HttpJson,
        };
        let endpoint = url.as_str().to_owned();
        let options =
            ClientOptions { connect_timeout: CONNECT_TIMEOUT, keep_idle: Some(IDLE_TIMEOUT), proxy: None };
        let http = ReloadingClient::new(tls, resolver, options);
        let progress = Arc::new(BatchProgress::default());
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(endpoint)
            .with_protocol(encoding)
            .with_timeout(BATCH_TIMEOUT)
            .with_retry_policy(retries)
            .with_http_client(Transport::new(url, protocol, headers, http, progress.clone()))
            .build()?;
        let attributes = resource.into_iter().map(|(key, value)| KeyValue::new(key, value));
        exporter.set_resource(&Resource::builder_empty().with_attributes(attributes).build());
        Ok(Self { exporter, progress, scope: scope() })
    }

    /// Exports a batch, with retries until `ended` resolves. Returns the number of spans that the collector did not accept.
    pub(super) async fn export(&self, batch: Vec<Span>, ended: impl Future<Output = ()>) -> u64 {
        let count = batch.len() as u64;
        let spans = batch.into_iter().map(|span| span_data(span, &self.scope)).collect();
        self.progress.begin_batch();
        let no_retry_left = async {
            ended.await;
            self.progress.between_attempts().await;
        };
        let is_accepted = tokio::select! {
            result = self.exporter.export(spans) => result.is_ok(),
            () = no_retry_left => false,
        };
        if is_accepted { self.progress.rejected_spans().min(count) } else { count }
    }
}
