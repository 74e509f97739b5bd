//! All kinds of stores.

use super::{aws_secrets_manager, vault};
use crate::config::StoreKind;

/// The kinds of stores, in the order in which messages list them.
#[rustfmt::skip]
pub const STORES: &[StoreKind] = &[
    vault::KIND,
    aws_secrets_manager::KIND,
];
