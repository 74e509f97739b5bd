//! A fleet: processes that share what they request, through a store that all of them reach.
//!
//! ```text
//! fleet       the shared store and the keys, as the configuration has them; hands out shared values
//! names       the names of a record: keyed hashes of what shapes the request
//! keys        what records are sealed with; the first key seals, all open
//! record      a value in the store: sealed, with its generation
//! failure     why the last request failed, for the others: sealed as well
//! store       what a store must do (trait), and what it answers
//! shared      one value: read, lock, read again, request, write, publish
//! traced      the value as services use it: with a span
//! under_lock  the part of it that is done under the lock
//! restore     gives the store what it has lost
//! decision    what to do about what the store has
//! lease       a request during which a lock is renewed
//! alone       what happens while the store cannot be used
//! login       a refresh token from outside
//! second_copy a refresh token beside the store; copies: when it is read and written
//! known       what a value is, and what this process knows of it
//! health      how the store is, for log, metrics and page
//! news        generations that others have written
//! redis/      Redis and Valkey
//! ```
//!
//! The store is asked when a refresh is due, after a 401 and at the start; never for a request. Nothing here knows what
//! a value is.

mod alone;
mod copies;
mod decision;
mod failure;
#[expect(clippy::module_inception, reason = "the type that the module is about")]
mod fleet;
mod health;
mod keys;
mod known;
mod lease;
mod login;
mod names;
mod news;
mod record;
mod redis;
mod restore;
mod second_copy;
mod shared;
mod store;
#[cfg(test)]
mod tests;
mod traced;
mod under_lock;

pub use fleet::Fleet;
pub use known::Rules;
pub use names::Names;
pub use record::Obtained;
pub use second_copy::SecondCopy;
pub use shared::{Requester, Shared, Taken};
pub use store::{BuildError, StoreError};
pub use traced::TracedValue;
