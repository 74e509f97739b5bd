//! The promises of the README, one file each.

mod credential_always_injected;
mod expired_token_never_sent;
mod memory;
mod no_401_from_proxy;
mod secrets_never_leak;
mod single_token_request;
