//! Who calls, and what a caller may do: `callers` and `roles`.
//!
//! ```text
//! policy       the callers and the roles of a configuration; identifies, and permits
//! caller_id    a caller that is known
//! connection   what a connection shows of its caller
//! credential   what a request presents: a key or a token
//! keys         the hashes of keys
//! token/       JSON Web Tokens, and the keys of their issuers
//! roles        which callers may use which services
//! subject      the token that stands for a caller at a token endpoint
//! refusal      why a request is refused
//! counts       requests by caller and service
//! ```
//!
//! The address, the certificate and the credentials of a Unix socket's peer are those of the connection, and are compared once
//! for it. A key or a token is presented by each request.

mod caller_id;
mod connection;
mod counts;
mod credential;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod keys;
mod policy;
mod refusal;
mod roles;
mod subject;
mod token;

pub use caller_id::CallerId;
pub use connection::{CertificateNames, ConnectionCaller, PeerFacts};
pub use counts::{CallerCounts, CallerTotals};
pub use credential::{Presented, is_credential_field};
pub use keys::key_hash_text;
pub use policy::CallerPolicy;
pub use refusal::Refusal;
pub use roles::{NotPermitted, Permission};
pub use subject::subject;
pub use token::{IssuerKeys, JwksClient, KeyMetrics};
