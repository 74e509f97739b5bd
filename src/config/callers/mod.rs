//! Sections about who may call: `callers`, `roles`, `audit`.
//!
//! ```text
//! caller       an entry of `callers`: what a caller is known by, and its limits
//! unix         by the credentials of a Unix socket's peer
//! certificate  by the names in a client certificate
//! bearer       by a key, of which the configuration has the hash
//! jwt          by a token of an issuer
//! network      by the source address
//! access       `callers` and `roles` together
//! role         an entry of `roles`: which callers may use which services, and how
//! audit        `audit`: where decisions are recorded
//! ```

pub(super) mod access;
pub(super) mod audit;
pub(super) mod bearer;
pub(super) mod caller;
pub(super) mod certificate;
pub(super) mod jwt;
pub(super) mod network;
pub(super) mod role;
pub(super) mod unix;
