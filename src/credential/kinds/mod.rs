//! The kinds of credentials: one file for each.

pub mod api_key;
pub mod aws_sigv4;
pub mod azure_managed_identity;
pub mod azure_workload_identity;
pub mod basic;
pub mod bearer;
pub mod digest;
pub mod gcp_external_account;
pub mod gcp_metadata;
pub mod gcp_service_account;
pub mod github_app;
pub mod header;
pub mod hmac;
pub mod http_signature;
pub mod jwt;
pub mod kubernetes;
pub mod login;
pub mod oauth2;
