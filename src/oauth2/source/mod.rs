//! Decorators around [`TokenSource`](super::TokenSource).

pub(super) mod with_metrics;
pub(super) mod with_tracing;
