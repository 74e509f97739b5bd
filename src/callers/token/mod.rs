//! JSON Web Tokens of callers (RFC 7519), signed by an issuer whose public keys are known.
//!
//! ```text
//! tokens       the callers that are known by a token; which one a token is of
//! jws          a signed token: its parts, its header, its signature
//! jwks         the public keys of an issuer
//! issuer_keys  those that are in use, and when they are fetched
//! fetch        one request for them
//! cache        tokens that were verified
//! ```

mod cache;
mod fetch;
mod issuer_keys;
mod jwks;
mod jws;
mod tokens;

pub use fetch::JwksClient;
pub use issuer_keys::{IssuerKeys, KeyMetrics};
pub(super) use tokens::Tokens;
