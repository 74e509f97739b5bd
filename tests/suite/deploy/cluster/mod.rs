//! The chart and the kustomizations in a cluster with a real API server: installed, changed, rolled back, removed.
//!
//! There is no node, so that no Pod starts: `helm test`, `--wait` and `kubectl rollout status` have nothing to see here.

mod chart;
mod kustomizations;
mod older;
mod setup;
