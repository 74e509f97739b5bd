//! Identities that the platform of a workload has: of Azure, of Google Cloud, of a Kubernetes cluster. Each against a fake that holds
//! the rules of the server.

mod azure_workload_identity;
mod kubernetes;
mod setup;
