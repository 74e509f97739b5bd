//! `readiness`: whether `/readyz` depends on a service.

use crate::config::reader::table::Format;
use crate::config::reader::value::Value;

const WORDS: [(&str, Readiness); 3] =
    [("first", Readiness::First), ("always", Readiness::Always), ("never", Readiness::Never)];

/// The format of `readiness`.
pub(super) const READINESS: Format = Format::Words(&WORDS);

/// When Sidekey is not ready because of a service.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Until the service was ready once: an outage of its provider does not take the app out of its load balancer.
    #[default]
    First,
    /// Whenever the service is not ready.
    Always,
    /// Never.
    Never,
}

impl Readiness {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        WORDS.iter().find(|(_, value)| *value == self).map_or("", |(word, _)| word)
    }
}

pub(super) fn read(value: &Value<'_>) -> Option<Readiness> {
    value.one_of(&WORDS)
}
