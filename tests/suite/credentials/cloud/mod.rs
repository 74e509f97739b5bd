//! Identities that the platform of a workload has: of Azure, of Google Cloud, of a Kubernetes cluster. Each against a fake that holds
//! the rules of the server.

mod azure_managed_identity;
mod azure_workload_identity;
mod gcp_executable;
mod gcp_external_account;
mod gcp_metadata;
mod gcp_service_account;
mod kubernetes;
mod recipes;
mod setup;
