//! What may end the refreshes of a value that can be used now.

use parking_lot::Mutex;

/// What may make the next value unobtainable although the current one can be used: a refresh token that could
/// not be written to disk, for example. Shared by whoever finds it out and by the store that shows it.
#[derive(Debug, Default)]
pub struct Risk(Mutex<Option<String>>);

impl Risk {
    /// Records the risk in plain words, or that there is none any more. The text has no secret.
    pub fn set(&self, risk: Option<String>) {
        *self.0.lock() = risk;
    }

    /// The risk, if there is one.
    pub fn get(&self) -> Option<String> {
        self.0.lock().clone()
    }
}
