//! Sections about the side that faces callers: `listen`, its TLS, `intercept`, `admin`.

pub(super) mod address;
pub(super) mod admin;
pub(super) mod intercept;
pub(super) mod listener;
pub(super) mod name_constraints;
pub(super) mod tls;
