//! Token requests on the wire: client authentication, assertions and formats.

mod assertions;
mod client_assertion;
mod client_auth;
mod form;
