//! A shared value as services use it: each time that it is obtained is a span.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::shared::{Requester, Shared, Taken};
use crate::metrics::SharedTokenMetrics;
use crate::otel::{CurrentTracer, Span, Value};
use crate::refresh::{Cause, Obtainer, SourceError};

/// A shared value that services use.
pub struct TracedValue {
    /// The value.
    pub shared: Arc<Shared>,
    /// Counts who obtained it.
    pub metrics: SharedTokenMetrics,
    /// Where spans go.
    pub traces: Arc<CurrentTracer>,
    /// The services that use the value.
    pub services: String,
}

impl TracedValue {
    /// Obtains the value: that of another process, or a new one.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub async fn obtain(&self, cause: Cause, requester: &dyn Requester) -> Result<Taken, SourceError> {
        let began = (SystemTime::now(), Instant::now());
        let outcome = self.shared.obtain(cause, requester, &self.metrics).await;
        self.record(began, &outcome);
        if let Ok(Taken { by: Obtainer::Peer(process), .. }) = &outcome {
            tracing::debug!(sidekey.service = self.services, fleet.process = process, "shared token taken");
        }
        outcome
    }

    /// Records a wait for the fleet as a span, as token requests are recorded.
    fn record(&self, began: (SystemTime, Instant), outcome: &Result<Taken, SourceError>) {
        let Some(tracer) = self.traces.get() else { return };
        let mut attributes: Vec<(&'static str, Value)> =
            vec![("sidekey.service", self.services.clone().into())];
        match outcome {
            Ok(taken) => attributes.push(("sidekey.shared.by", taken.by.as_str().into())),
            Err(error) => attributes.push(("error.type", error.kind.as_str().into())),
        }
        tracer.record(Span {
            context: tracer.root(),
            name: "shared token",
            start: began.0,
            took: began.1.elapsed(),
            attributes,
            error: outcome.as_ref().err().map(|error| error.message.clone()),
        });
    }
}
