//! Stores of secrets: servers that secrets are read from (`secret_stores`). A kind is one file or folder here, and one line in
//! [`STORES`]. The sources that read from them are in `sources/`.
//!
//! ```text
//! registry  all kinds
//! server    one request to a store, and the time after a failure
//! blocking  runs a request on a thread of its own
//! outage    the time after a failure
//! members   values in a JSON text
//! stored_secret  a secret in a store, and one member of it, as sources
//! vault     Vault and OpenBao
//! aws_secrets_manager  AWS Secrets Manager
//! ```

pub(super) mod aws_secrets_manager;
mod blocking;
pub(super) mod members;
mod outage;
mod registry;
mod server;
pub(super) mod stored_secret;
pub(super) mod vault;

pub use registry::STORES;
