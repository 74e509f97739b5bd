//! TLS configurations of both sides, rebuilt when their files change.
//!
//! ```text
//! client           toward upstreams, token endpoints and collectors
//! sessions         sessions with servers, which new connections resume
//! server           toward callers: the certificate of a listener
//! interception_ca  toward callers inside a CONNECT: certificates issued for the hosts of services
//! new_ca           a new CA, which may be constrained to some hosts
//! reloadable       a value built from files, and rebuilt when they change
//! certificate_pem  certificates as text
//! expiry           when certificates expire, for the metrics
//! presented        when the certificate ends that a server presented last
//! error_text       the text of an error, with dates as people read them
//! no_verifier      a client that verifies no certificate
//! ```

pub(crate) mod certificate_pem;
pub mod client;
pub(crate) mod error_text;
pub mod expiry;
pub mod interception_ca;
pub(crate) mod new_ca;
pub(crate) mod no_verifier;
pub(crate) mod presented;
pub mod reloadable;
pub mod server;
mod sessions;
