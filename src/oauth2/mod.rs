//! OAuth2 access tokens, requested by a [`TokenSource`] and kept fresh by [`refresh`](crate::refresh).
//!
//! [`grants::source`] wraps the source of a grant: traces and metrics first, then the refresh token that was
//! issued last.

mod advice;
#[doc(hidden)]
pub mod bench;
pub mod caller_tokens;
pub mod claims;
pub mod client;
pub mod dpop_key;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
pub mod grants;
pub(crate) mod jws;
pub mod refresh_tokens;
mod sanitize;
pub mod source;
mod token;

pub use advice::advice;
pub use client::discovery::{ExpectedIssuer, LoginEndpoint};
pub use client::turns::TokenRequestTurns;
pub use sanitize::sanitize;
pub use source::shared_tokens::SharedTokens;
pub use source::token_source::TokenSource;
pub use source::unpersisted::Unpersisted;
pub use source::with_metrics::WithMetrics;
pub use source::with_tracing::{RequestKind, WithTracing};
pub use token::{AccessToken, IssuedToken, KeyBinding, TokenResponse, TokenStore};
