//! `type: aws_secrets_manager`: AWS Secrets Manager.
//!
//! ```text
//! store       reads an entry of `secret_stores`
//! connection  reads secrets, with keys that are replaced before they end
//! answer      what the errors mean
//! ```
//!
//! Source: the API reference of AWS Secrets Manager, `GetSecretValue`.

mod answer;
mod connection;
mod store;

pub(in crate::credential) use connection::AwsSecretId;
pub(in crate::credential) use store::{AwsStore, KIND};
