//! The tests, a file for each promise or subject.

mod deploy_image;
mod deploy_kubernetes;
mod deploy_prometheus;
mod harness_itself;
mod http_broken_upstreams;
mod http_confinement;
mod http_connections;
mod http_differential;
mod http_expect;
mod http_requests;
mod http_responses;
mod http_setup;
mod http_smuggling;
mod http_stripping;
mod http_stuck_uploads;
mod http_vanishing_callers;
mod many_services;
mod real_metrics;
mod real_nginx;
mod real_oidc_provider;
mod sample_flows;
mod samples;
mod whole_seconds;
