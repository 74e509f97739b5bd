//! What the keeper does next, by what is stored and the time. It does no I/O.

use std::time::{Duration, SystemTime};

use super::checked::Checked;
use super::stored::Stored;

/// What the keeper does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing: the certificate can be used for a long time.
    Keep,
    /// There is no certificate that can be used: a new one is in use at once.
    Replace,
    /// The certificate ends in a while: the next one is made.
    Prepare,
    /// The next certificate is in use from now on.
    Promote,
}

/// The certificates that can be used now.
pub(super) struct Usable {
    pub(super) current: Option<Checked>,
    pub(super) next: Option<Checked>,
}

impl Usable {
    /// Checks what is stored.
    pub(super) fn of(stored: &Stored, name: &str, now: SystemTime) -> Self {
        let check = |pair: &Option<_>| Checked::new(pair.as_ref()?, &stored.trusted, name, now).ok();
        Self { current: check(&stored.current), next: check(&stored.next) }
    }

    /// The next step. `is_next_trusted`: the API server has been told to trust the CA of the next
    /// certificate, and had time to learn it.
    pub(super) fn step(&self, now: SystemTime, lifetime: Duration, is_next_trusted: bool) -> Step {
        match (&self.current, &self.next) {
            // It is more likely trusted than a new one.
            (None, Some(_)) => Step::Promote,
            (None, None) => Step::Replace,
            (Some(_), Some(_)) if is_next_trusted => Step::Promote,
            (Some(_), Some(_)) => Step::Keep,
            (Some(current), None) if current.end <= now + lifetime / 3 => Step::Prepare,
            (Some(_), None) => Step::Keep,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::issued::issue;
    use super::*;

    const NAME: &str = "sidekey-webhook.sidekey.svc";
    const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

    #[test]
    fn next_step_follows_from_what_is_stored_and_the_time() {
        let start = SystemTime::now();
        let mut stored = Stored::default();
        let step = |stored: &Stored, now, is_next_trusted| {
            Usable::of(stored, NAME, now).step(now, LIFETIME, is_next_trusted)
        };
        assert_eq!(step(&stored, start, false), Step::Replace);
        let first = issue(NAME, start, LIFETIME).unwrap();
        stored.trusted.add(first.ca);
        stored.current = Some(first.pair);
        let (before, due) = (start + LIFETIME * 13 / 20, start + LIFETIME * 7 / 10);
        assert_eq!(step(&stored, start, false), Step::Keep);
        assert_eq!(step(&stored, before, true), Step::Keep);
        assert_eq!(step(&stored, due, false), Step::Prepare);

        let second = issue(NAME, due, LIFETIME).unwrap();
        stored.next = Some(second.pair);
        assert_eq!(step(&stored, due, false), Step::Prepare, "a certificate without its CA is made again");
        stored.trusted.add(second.ca);
        assert_eq!(step(&stored, due, false), Step::Keep);
        assert_eq!(step(&stored, due, true), Step::Promote);
        let late = start + 2 * LIFETIME - LIFETIME / 2;
        assert_eq!(step(&stored, late, false), Step::Promote, "the current one has expired");
        assert_eq!(step(&stored, start + 2 * LIFETIME, false), Step::Replace);
    }
}
