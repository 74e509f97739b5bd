//! `tls` toward servers, its certificate files, and the verification of the other side's certificate.

pub(super) mod client;
pub(super) mod date;
pub(super) mod files;
pub(super) mod key_kind;
pub(super) mod model;
pub(super) mod signatures;
pub(super) mod trust;
pub(super) mod verifiers;
