//! The files under `deploy/`: image, Kubernetes, Prometheus, Grafana and systemd, and webhook and chart with a real API server.

mod alerts;
mod cluster;
mod drill;
pub mod grafana;
pub mod image;
mod inject_corpus;
mod kubernetes;
mod outage;
mod prometheus;
mod systemd;
mod webhook;
