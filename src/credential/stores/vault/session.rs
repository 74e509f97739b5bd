//! The token that requests are sent with: when it is renewed, and when another login is due.

use std::time::{Duration, Instant};

use crate::secret::Secret;

/// The token of a login.
pub(super) struct Session {
    pub(super) token: Secret,
    /// Its number. A lease ends with the token that it was obtained with.
    pub(super) generation: u64,
    /// Whether a login of this process gave it, so that it is revoked at the end.
    pub(super) is_own: bool,
    pub(super) is_renewable: bool,
    since: Instant,
    /// `None` if it does not end.
    lifetime: Option<Lifetime>,
}

#[derive(Clone, Copy)]
struct Lifetime {
    /// The lifetime that it was issued with.
    issued: Duration,
    /// When it ends.
    end: Instant,
    /// When it is renewed, or replaced if it cannot be renewed.
    due: Instant,
}

/// A token that has just been used without success is not the reason for that.
const RECENT: Duration = Duration::from_secs(5);

impl Session {
    /// A token, for this many seconds from `asked` on; 0 if it does not end.
    pub(super) fn new(
        (token, generation): (Secret, u64),
        asked: Instant,
        (seconds, is_renewable): (u64, bool),
        is_own: bool,
    ) -> Self {
        let lifetime =
            (seconds > 0).then(|| Lifetime::new(asked, Duration::from_secs(seconds), is_renewable));
        Self { token, generation, is_own, is_renewable, since: asked, lifetime }
    }

    /// The token after a renewal for this many seconds. `None` if it has nearly reached the longest time that it can live.
    pub(super) fn renewed(&self, asked: Instant, seconds: u64, is_renewable: bool) -> Option<Self> {
        let (granted, issued) = (Duration::from_secs(seconds), self.lifetime?.issued);
        if granted < issued / 3 {
            return None;
        }
        let lifetime = Lifetime { issued, ..Lifetime::new(asked, granted, is_renewable) };
        let (token, generation, is_own) = (self.token.clone(), self.generation, self.is_own);
        Some(Self { token, generation, is_own, is_renewable, since: self.since, lifetime: Some(lifetime) })
    }

    /// Whether it should be renewed or replaced.
    pub(super) fn is_due(&self) -> bool {
        self.lifetime.is_some_and(|lifetime| Instant::now() >= lifetime.due)
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.lifetime.is_some_and(|lifetime| Instant::now() >= lifetime.end)
    }

    /// Whether it was issued so short a time ago that it cannot have ended.
    pub(super) fn is_recent(&self) -> bool {
        self.since.elapsed() < RECENT && !self.has_ended()
    }

    /// The time that is left of it; `None` if it does not end.
    pub(super) fn remaining(&self) -> Option<Duration> {
        Some(self.lifetime?.end.saturating_duration_since(Instant::now()))
    }
}

impl Lifetime {
    fn new(start: Instant, length: Duration, is_renewable: bool) -> Self {
        // A token that cannot be renewed is used for longer, because its leases end with it.
        let due = if is_renewable { length * 2 / 3 } else { length * 4 / 5 };
        Self { issued: length, end: start + length, due: start + due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(age: u64, seconds: u64, is_renewable: bool) -> Session {
        let asked = Instant::now().checked_sub(Duration::from_secs(age)).unwrap();
        let token = Secret::new("token".into()).unwrap();
        Session::new((token, 1), asked, (seconds, is_renewable), true)
    }

    #[test]
    fn token_is_due_before_it_ends() {
        let states = |age, is_renewable| {
            let session = session(age, 90, is_renewable);
            (session.is_due(), session.has_ended())
        };
        assert_eq!([59, 61, 91].map(|age| states(age, true)), [(false, false), (true, false), (true, true)]);
        assert_eq!([61, 73].map(|age| states(age, false)), [(false, false), (true, false)]);
        let endless = session(1_000, 0, true);
        assert!(!endless.is_due() && !endless.has_ended() && endless.remaining().is_none());
    }

    #[test]
    fn renewal_near_the_longest_lifetime_is_no_renewal() {
        let old = session(61, 90, true);
        let now = Instant::now();
        assert!(old.renewed(now, 90, true).is_some_and(|new| !new.is_due() && new.generation == 1));
        assert!(old.renewed(now, 29, true).is_none());
    }
}
