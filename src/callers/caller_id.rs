//! A caller that is known.

/// A caller that is known: its position in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerId(pub(super) usize);

impl CallerId {
    /// Its position in the configuration.
    pub fn position(self) -> usize {
        self.0
    }
}
