//! The certificate of the webhook: from files, or made and rotated by the replicas themselves.
//!
//! ```text
//! serving  the TLS of the next handshake
//! files    a certificate in files, which something else replaces
//! keeper   the task that makes a certificate, shares it with the other replicas, and has the API server trust it
//! plan     what the keeper does next
//! stored   what the replicas share: the content of a Secret
//! trusted  the CAs that the API server is to trust
//! issued   a certificate, made by a CA whose key is forgotten at once
//! checked  whether a certificate can be used
//! ```
//!
//! A rotation has two steps, so that no handshake fails. First the next certificate is made, and its CA is
//! added to those that the API server trusts. When it has been there for some time, the next certificate is
//! the one in use. The CA of the previous one is removed when it has expired: until then each replica may
//! present either certificate.

mod checked;
pub(super) mod files;
mod issued;
pub(super) mod keeper;
mod plan;
pub(super) mod serving;
mod stored;
#[cfg(test)]
mod tests;
mod trusted;
