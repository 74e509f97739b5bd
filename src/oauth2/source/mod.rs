//! The trait `TokenSource`, its decorators, and what makes access tokens of its responses.

pub(crate) mod access_token_source;
pub(crate) mod shared_tokens;
pub(super) mod token_source;
pub(super) mod unpersisted;
pub(super) mod with_metrics;
pub(super) mod with_tracing;
