//! What the store and its sentinels have in common: a user, a password, and TLS.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret;
use crate::config::reader::value::Value;
use crate::config::tls::client;
use crate::config::tls::model::Tls;
use crate::secret::Secret;

/// How servers are logged in at.
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) password: Option<Secret>,
    /// `None`: not written.
    pub(super) tls: Option<Tls>,
}

impl Login {
    /// Reads `username`, `password` and `tls`. `is_tls` is whether the addresses are those of TLS; `None` if that is not known.
    pub(super) fn read(mapping: &mut Mapping<'_>, is_tls: Option<bool>) -> Self {
        Self {
            username: mapping.optional("username").and_then(|value| value.parse(username)),
            password: mapping.optional("password").and_then(|value| secret::read(&value)),
            tls: mapping.optional("tls").map(|value| tls(&value, is_tls)),
        }
    }
}

fn tls(value: &Value<'_>, is_tls: Option<bool>) -> Tls {
    if is_tls == Some(false) {
        value.error("`tls` has no effect for a `redis://` URL; use `rediss://`, or remove `tls`");
    }
    client::read(value, None)
}

fn username(text: &str) -> Result<String, String> {
    let is_valid = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    is_valid.then(|| text.to_owned()).ok_or_else(|| "a user is one word of visible ASCII".into())
}
