//! OAuth2 tokens: obtained by a [`TokenSource`], kept in a [`TokenStore`], renewed by a [`refresher`].
//!
//! A source knows nothing of schedules, a store nothing of networks, and the schedule nothing of clocks. Metrics are
//! a decorator around the source.

#[doc(hidden)]
pub mod bench;
pub mod claims;
pub mod client;
pub mod dpop_key;
mod error;
mod expiry;
pub mod grants;
mod jws;
pub mod refresh_tokens;
pub mod refresher;
mod sanitize;
pub mod schedule;
pub mod source;
mod store;
mod token;

pub use client::discovery::LoginEndpoint;
pub use error::{SourceError, SourceErrorKind};
pub use expiry::{ClockReading, Expiry};
pub use sanitize::sanitize;
pub use source::token_source::TokenSource;
pub use source::with_metrics::WithMetrics;
pub use source::with_tracing::WithTracing;
pub use store::{RefreshDecision, RefreshReason, RefreshStatus, TokenStore};
pub use token::{Token, TokenResponse};
