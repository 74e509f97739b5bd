//! The API of the cluster: the two objects that the webhook reads and writes.
//!
//! ```text
//! objects     what the keeper of the certificate needs of the API
//! in_cluster  the API server of the cluster that the pod runs in
//! error       why a call failed
//! ```

mod error;
mod in_cluster;
mod objects;

pub(super) use error::ApiError;
pub use in_cluster::{InCluster, NotInCluster, ServiceAccount};
pub(super) use objects::Objects;
