//! What the kinds of credentials for Microsoft's APIs have in common.
//!
//! ```text
//! scope             the API that a token is for, and the IDs of identities
//! managed_identity  tokens of the identity of a machine or an app
//! advice            what to look at if something is refused
//! ```

mod advice;
pub(super) mod managed_identity;
mod scope;

pub(super) use advice::{UPSTREAM_ERRORS, explain_connection, explain_rejection};
pub(super) use scope::{SCOPE, Scope, id};
