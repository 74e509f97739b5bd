//! The admission webhook of Kubernetes: adds the sidecar to pods that ask for it when they are created
//! (`sidekey webhook`).
//!
//! ```text
//! server       the running webhook: two servers and the task that keeps the certificate
//! router       the address that the API server calls
//! review       a request: AdmissionReview of admission.k8s.io/v1
//! verdict      what is said about a pod
//! response     the response to a review
//! shape        whether sidecars are native
//! listener     connections with TLS
//! certificate/ from files, or made and rotated by the replicas
//! cluster/     the API of the cluster
//! own_objects  the objects of the cluster that belong to the webhook
//! readiness    whether the API server can be answered
//! health       readiness and metrics, for the kubelet and for Prometheus
//! ```
//!
//! What a sidecar is, and which pods get one, is in `inject`. It reads no configuration and has no secret but
//! the key of its certificate.

mod certificate;
mod cluster;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod health;
mod listener;
mod own_objects;
mod readiness;
mod response;
mod review;
mod router;
mod server;
mod shape;
mod verdict;

pub use cluster::{InCluster, NotInCluster, ServiceAccount};
pub use own_objects::{Label, OwnObjects};
pub use server::{Certificate, Options, StartError, Webhook};
