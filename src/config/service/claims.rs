//! What one service claims: host names, and addresses to listen on.

use crate::config::listen::address::ListenAddresses;
use crate::config::reader::report::Spot;

/// What one service claims, each with its place in the file.
#[derive(Default)]
pub(crate) struct Claims {
    pub(crate) hosts: Vec<(String, Spot)>,
    pub(crate) addresses: ListenAddresses,
}
