//! The variables that AWS's SDKs read.

use std::ffi::OsString;

use zeroize::Zeroizing;

use super::static_keys::{checked, complete, is_of_id, is_of_key};
use crate::config::reader::value::Value;
use crate::credential::aws::identity::StaticKeys;

/// The variables of the environment, for a value of the configuration.
pub(super) struct EnvironmentOf<'v, 'a>(pub(super) &'v Value<'a>);

impl EnvironmentOf<'_, '_> {
    /// A variable that is not empty.
    pub(super) fn get(&self, name: &str) -> Option<OsString> {
        self.0.environment()(name).filter(|text| !text.is_empty())
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(|text| text.into_string().ok())
    }

    /// A variable that must be set, unless the configuration is checked where its secrets are not.
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

    pub(super) fn keys(&self) -> Option<StaticKeys> {
        let half = ": half a key signs nothing, and no other is used in its place";
        let names = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];
        let is_half = names.iter().filter(|name| self.get(name).is_some()).count() == 1;
        let [id, secret] = names.map(|name| self.required(name, if is_half { half } else { "" }));
        let part = |text: String, allowed: fn(char) -> bool, name| {
            checked(self.0, &Zeroizing::new(text), allowed, &format!("the environment variable {name}"))
        };
        let (id, secret) = (part(id?, is_of_id, names[0]), part(secret?, is_of_key, names[1]));
        let token = match self.text("AWS_SESSION_TOKEN") {
            None => None,
            Some(text) => Some(part(text, is_of_key, "AWS_SESSION_TOKEN")?),
        };
        complete(self.0, id?, secret?, token, "the environment has no AWS_SESSION_TOKEN")
    }
}
