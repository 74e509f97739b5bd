//! Keeps a value that expires fresh: a [`Source`] obtains it, a [`Store`] has the current one, a
//! [`refresher`] replaces it in time.
//!
//! Nothing here knows what the value is: an OAuth2 access token is one, short-lived cloud credentials or a
//! signed JWT could be others. A source knows no schedule, a store no network, and the schedule no clock.

mod any_store;
mod clock_monitor;
mod error;
mod error_code;
mod expiry;
pub mod refresher;
mod risk;
pub mod schedule;
mod server;
mod sharing;
mod source;
mod status;
mod store;

pub use any_store::{AnyStore, Requested};
pub use clock_monitor::MAX_CLOCK_SKEW;
pub use error::{SourceError, SourceErrorKind};
pub use error_code::ErrorCode;
pub use expiry::{ClockReading, Expiring, Expiry};
pub use risk::Risk;
pub use server::{ServerFacts, SourceServer, clock_skew};
pub use sharing::{Obtainer, Sharing, SharingFacts};
pub use source::{Cause, Source};
pub use status::RefreshStatus;
pub use store::{Attempt, RefreshDecision, RefreshReason, Store, Versioned};
