//! What to do about what the store has: a pure function, for every cause and every state of the store.

use std::time::Duration;

use super::failure::SharedFailure;
use super::known::{Known, Rules};
use super::record::Record;
use crate::refresh::{Cause, SourceError, SourceErrorKind};
use crate::secret::Unreadable;

/// What is known when a value is wanted.
pub(super) struct Situation<'a> {
    /// The time of the store.
    pub(super) now: u64,
    /// The newest record in the store, if there is one.
    pub(super) newest: Result<Option<Record>, Unreadable>,
    /// The failure of the last request.
    pub(super) failure: Option<SharedFailure>,
    /// The value that this process has.
    pub(super) known: Option<&'a Known>,
    /// Why the value is wanted.
    pub(super) cause: Cause,
    pub(super) rules: &'a Rules,
    /// The name of the record, for messages.
    pub(super) name: &'a str,
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Decision {
    /// Use the record of the store.
    Take(Box<Record>),
    /// Go on with the value that this process has.
    Keep,
    /// Request a new one, under the lock.
    Request,
    /// Fail without a request.
    Fail(SourceError),
}

impl Situation<'_> {
    /// Decides.
    pub(super) fn decide(self) -> Decision {
        let newest = match self.newest {
            // Whoever can read it goes on with it; a new one would end the grant.
            Err(why) if self.rules.rotates => return Decision::Fail(unreadable(self.name, why)),
            Err(_) => None,
            Ok(ref newest) => newest.clone(),
        };
        let forced = newest.as_ref().and_then(|record| record.forced);
        let newer = newest.filter(|record| is_newer(record, self.known, self.rules));
        match newer {
            Some(record) if record.is_fresh(self.now) => return Decision::Take(Box::new(record)),
            None if self.keeps(forced) => return Decision::Keep,
            _ => {}
        }
        // Only who has changed something may expect another answer.
        let is_asked_again = matches!(self.cause, Cause::Requested | Cause::InputChanged);
        let failure = self.failure.filter(|failure| !failure.left(self.now).is_zero() && !is_asked_again);
        match (failure, newer) {
            (Some(_), Some(record)) if record.is_usable(self.now) => Decision::Take(Box::new(record)),
            (Some(failure), _) => Decision::Fail(failure.to_error(self.now)),
            (None, _) => Decision::Request,
        }
    }

    /// Whether the value at hand stays in use although another one is wanted. Nobody has obtained a newer one.
    fn keeps(&self, forced: Option<u64>) -> bool {
        let Some(known) = self.known else { return false };
        match self.cause {
            Cause::Changed => known.is_fresh(),
            Cause::Rejected | Cause::Requested => {
                let since = forced.map(|forced| Duration::from_millis(self.now.saturating_sub(forced)));
                known.is_usable() && since.is_some_and(|since| since < self.rules.min_interval)
            }
            Cause::Due | Cause::InputChanged => false,
        }
    }
}

/// Whether a record is newer than the value that this process has.
///
/// Refresh tokens follow each other strictly. Of other values the later one counts as well if the store has lost the
/// generations: a record ends with its value.
pub(super) fn is_newer(record: &Record, known: Option<&Known>, rules: &Rules) -> bool {
    let Some(known) = known.map(|known| &known.record) else { return true };
    let is_later = if rules.rotates {
        // Of two successors of one refresh token, that in the store counts.
        record.generation >= known.generation
    } else {
        record.generation > known.generation || record.ends > known.ends
    };
    is_later && record.write != known.write
}

fn unreadable(name: &str, why: Unreadable) -> SourceError {
    let message = format!(
        "the record {name} of the shared store cannot be read: {why}. It is left as it is, because it has a refresh token: \
         add the key that it was encrypted with to `shared.key`, or log in again"
    );
    SourceError::new(SourceErrorKind::Local, message)
}
