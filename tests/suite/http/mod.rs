//! HTTP/1.1: requests, responses, errors, timeouts, and hostile or broken peers.

mod broken_upstreams;
mod confinement;
mod connections;
mod differential;
mod downstream_disconnects;
mod draining;
mod errors;
mod expect;
mod field_whitespace;
mod interim_responses;
mod max_forwards;
mod requests;
mod response_heads;
mod response_mixups;
mod responses;
pub mod setup;
mod smuggling;
mod stalled_uploads;
mod streaming;
mod stripping;
mod timeouts;
mod total_timeout;
mod upgrades;
mod upstream_tls;
mod via;
