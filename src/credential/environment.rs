//! The variables that a platform sets for its workloads.

use std::ffi::OsString;

use crate::config::reader::value::Value;

/// The variables of the environment, for a value of the configuration. An empty one counts as not set.
pub(super) struct EnvironmentOf<'v, 'a>(pub(super) &'v Value<'a>);

impl EnvironmentOf<'_, '_> {
    /// A variable that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<OsString> {
        self.0.environment()(name).filter(|text| !text.is_empty())
    }

    /// A variable that is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|text| text.into_string().ok())
    }

    /// A variable that must be set, unless the configuration is checked where its secrets are not. `why` ends the message.
    pub(super) fn required(&self, name: &str, why: &str) -> Option<String> {
        let text = self.text(name);
        if text.is_none() && !self.0.reads_files() {
            return Some("placeholder".into());
        }
        if text.is_none() {
            self.0.error(format!("the environment variable {name} is not set{why}"));
        }
        text
    }
}
