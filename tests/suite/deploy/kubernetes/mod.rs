//! deploy/kubernetes and deploy/helm: what kustomize and Helm render is valid, restricted, and the same.

mod chart;
mod configurations;
mod custom;
mod gateway;
pub mod inject;
mod monitoring;
pub mod objects;
mod page;
pub mod rendered;
mod restricted;
mod sidecar;
mod valid;
mod values;
