//! Where a signer writes a value that changes.

use std::sync::Arc;

use http::HeaderValue;

use super::{Injection, Owned};
use crate::config::auth::placement::{Placement, RequestPart};

/// A place in requests, for values that are made for it ([`Placement::value`]).
pub(super) struct Place {
    owned: Arc<Owned>,
    part: RequestPart,
    /// The name of the header field, if it is one.
    field: String,
}

impl Place {
    pub(super) fn new(placement: &Placement) -> Self {
        let (part, field) = (placement.part, placement.name.clone());
        Self { owned: Arc::new(Owned::at(placement)), part, field }
    }

    /// What of a caller's request it takes the place of.
    pub(super) fn owned(&self) -> &Arc<Owned> {
        &self.owned
    }

    /// Adds a value to a request.
    pub(super) fn write<'s>(&'s self, value: HeaderValue, injection: &mut Injection<'s>) {
        match self.part {
            RequestPart::Header => injection.field(&self.field, value),
            RequestPart::Query => injection.query(value),
            RequestPart::Cookie => injection.cookie(value),
        }
    }
}
