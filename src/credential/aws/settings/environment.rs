//! Keys in the variables that AWS's SDKs read.

use zeroize::Zeroizing;

use super::static_keys::{checked, complete, is_of_id, is_of_key};
use crate::credential::EnvironmentOf;
use crate::credential::aws::identity::StaticKeys;

impl EnvironmentOf<'_, '_> {
    /// The key in the environment.
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
