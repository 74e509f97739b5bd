//! The tracer of the current configuration.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use super::tracer::Tracer;

/// The tracer of the current configuration, for tasks that outlive a reload: the refreshers. A request has the tracer of its
/// snapshot.
#[derive(Default)]
pub struct CurrentTracer(ArcSwapOption<Tracer>);

impl CurrentTracer {
    /// The tracer, if traces are on.
    pub fn get(&self) -> Option<Arc<Tracer>> {
        self.0.load_full()
    }

    /// Replaces the tracer.
    pub fn set(&self, tracer: Option<Arc<Tracer>>) {
        self.0.store(tracer);
    }
}
