//! The tests, a file for each promise or subject.

mod deploy_image;
mod deploy_kubernetes;
mod deploy_prometheus;
mod harness_itself;
