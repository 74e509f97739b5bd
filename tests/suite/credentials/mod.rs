//! Kinds of credentials on the wire, many services, and rotation of a secret.

mod aws_secrets_manager;
pub mod aws_sigv4;
mod basic;
mod cloud;
mod credential_lists;
mod digest;
mod field_names;
mod github_app;
mod invisible_characters;
mod jwt;
mod leak_guard;
mod leak_guard_body;
mod login;
mod many_services;
mod query_echo;
mod refresh_on;
mod sample_flows;
mod secret_rotation;
mod signing_kinds;
mod token_placement;
mod vault;
