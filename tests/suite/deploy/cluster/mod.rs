//! The chart and the kustomizations in a cluster with a real API server: installed, changed, rolled back, removed.
//!
//! There is no node, so that no Pod starts. Where it matters, the test says of Pods what kubelets would (`kubelet`).

mod chart;
mod kubelet;
mod kustomizations;
mod older;
mod setup;
