//! Sidekey between real software: servers, clients and identity providers.

mod aws;
mod client_auth;
mod digest;
mod django;
mod grpc;
mod http2;
mod http_signatures;
mod httpbin;
mod kubernetes;
mod metrics;
mod nginx;
mod oidc_grants;
mod oidc_provider;
mod openbao;
mod openbao_leases;
mod openbao_recipe;
