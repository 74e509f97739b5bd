//! What a token is obtained from: the trait, and decorators around it.

pub(super) mod access_token_source;
pub(super) mod token_source;
pub(super) mod with_metrics;
pub(super) mod with_tracing;
