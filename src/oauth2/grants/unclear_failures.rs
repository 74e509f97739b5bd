//! When another way to a token is tried after refreshes that failed without saying whether the refresh token
//! is to blame.
//!
//! Some servers answer 500, or with an error about the client, if they no longer have a refresh token. The
//! same answers come from a server that is out of order. So the refresh token is kept, and the other way is
//! tried beside it: at once if there is no usable token, else after a few failures. Each further time takes
//! twice as many failures, so that a password is not sent at every attempt (providers lock accounts).

use crate::secret::Secret;

/// Number of failures before the other way is tried while the current token can be used.
const PATIENCE: u32 = 3;

/// The consecutive unclear failures of one refresh token.
#[derive(Default)]
pub(super) struct UnclearFailures {
    refresh_token: Option<Secret>,
    count: u32,
    /// The count when the other way was tried last.
    tried_at: u32,
}

impl UnclearFailures {
    /// Counts a failure. Returns whether the other way is due; then it counts as tried. `has_token` says
    /// whether there is a token that can still be used.
    pub(super) fn is_other_way_due(&mut self, refresh_token: &Secret, has_token: bool) -> bool {
        if self.refresh_token.as_ref() != Some(refresh_token) {
            *self = Self { refresh_token: Some(refresh_token.clone()), ..Self::default() };
        }
        self.count = self.count.saturating_add(1);
        let least = if has_token { PATIENCE } else { 1 };
        let is_due = self.count >= self.tried_at.saturating_mul(2).max(least);
        if is_due {
            self.tried_at = self.count;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(failures: &mut UnclearFailures, token: &str, has_token: bool, count: u32) -> Vec<u32> {
        let token = Secret::new(token.to_owned()).unwrap();
        (1..=count).filter(|_| failures.is_other_way_due(&token, has_token)).collect()
    }

    #[test]
    fn other_way_is_tried_ever_more_rarely() {
        assert_eq!(due(&mut UnclearFailures::default(), "a", true, 50), [3, 6, 12, 24, 48]);
        assert_eq!(due(&mut UnclearFailures::default(), "a", false, 50), [1, 2, 4, 8, 16, 32]);
    }

    #[test]
    fn other_way_is_due_at_once_when_the_token_ends() {
        let mut failures = UnclearFailures::default();
        assert!(due(&mut failures, "a", true, 2).is_empty());
        assert_eq!(due(&mut failures, "a", false, 3), [1], "the third failure, then the sixth");
    }

    #[test]
    fn count_starts_again_with_another_refresh_token() {
        let mut failures = UnclearFailures::default();
        assert_eq!(due(&mut failures, "a", true, 5), [3]);
        assert_eq!(due(&mut failures, "b", true, 3), [3]);
    }
}
