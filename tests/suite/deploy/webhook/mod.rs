//! `sidekey webhook`, called by a real API server, with the manifests of deploy/kubernetes/webhook as they
//! are.

mod certificate_files;
mod hostile;
mod manifests;
mod native;
mod outage;
mod pods;
mod reinvocation;
mod replicas;
pub mod setup;
