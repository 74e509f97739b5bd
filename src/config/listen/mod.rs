//! Sections about callers: `listen` and its TLS, `intercept`, `connect`, `admin`.

pub(super) mod address;
pub(super) mod admin;
pub(super) mod intercept;
pub(super) mod listener;
pub(super) mod tls;
