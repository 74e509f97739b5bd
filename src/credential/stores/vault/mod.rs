//! `type: vault`: HashiCorp Vault and OpenBao, by their HTTP API.
//!
//! ```text
//! store       reads an entry of `secret_stores`
//! settings    the settings of a connection
//! login       what a login sends
//! connection  sends requests with the token of the login
//! session     the token: when it is renewed, and when another login is due
//! secrets     reads a secret
//! paths       paths of secrets, mounts, versions of the key-value engine
//! lease       a lease of a dynamic secret
//! answer      answers, and what their errors mean
//! ```
//!
//! Source: the API documentation of Vault 1.x and of OpenBao 2.x, which agree in all that is used here.

mod answer;
mod connection;
mod lease;
mod login;
mod paths;
mod secrets;
mod session;
mod settings;
mod store;

pub(in crate::credential) use paths::{SecretPath, path};
pub(in crate::credential) use store::{KIND, VaultStore};
