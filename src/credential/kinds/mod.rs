//! The kinds of credentials: one file for each.

pub mod api_key;
pub mod aws_sigv4;
pub mod azure_workload_identity;
pub mod basic;
pub mod bearer;
pub mod digest;
pub mod github_app;
pub mod header;
pub mod hmac;
pub mod http_signature;
pub mod jwt;
pub mod kubernetes;
pub mod oauth2;
