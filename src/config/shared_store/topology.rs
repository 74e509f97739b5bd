//! How the servers of a store belong together.

use super::login::Login;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::secret::SECRET;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::reader::value::Value;
use crate::config::tls::client::TLS;
use crate::config::tls::model::Tls;
use crate::secret::Secret;

/// The keys of `shared.sentinel`.
pub(super) const SENTINEL: Keys = &[
    Key::required("master", MASTER, "The name of the primary at the sentinels."),
    Key::optional("username", Format::Text, "User at the sentinels."),
    Key::optional("password", SECRET, "Its password."),
    Key::optional("tls", TLS, "TLS toward the sentinels. Default: `tls` of the store."),
];

const MASTER: Format = Format::Pattern("^[A-Za-z0-9._-]{1,128}$");

/// Which of the servers has the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// The one that the configuration names.
    Single,
    /// The one that sentinels name.
    Sentinel(Sentinel),
    /// The one that nodes of a cluster name.
    Cluster,
}

/// `shared.sentinel`: servers that watch over a primary and its replicas, and replace the primary if it fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinel {
    /// The name of the primary at the sentinels.
    pub master: String,
    /// The user at the sentinels.
    pub username: Option<String>,
    /// The password of the user.
    pub password: Option<Secret>,
    /// TLS toward the sentinels; `None`: that of the store.
    pub tls: Option<Tls>,
}

/// The port of Redis.
const DEFAULT_PORT: u16 = 6379;
/// The port of a sentinel, if its address has none.
const SENTINEL_PORT: u16 = 26379;

impl Topology {
    /// Reads `sentinel` and `cluster`. `is_tls` is whether the addresses are those of TLS; `None` if that is not known.
    pub(super) fn read(mapping: &mut Mapping<'_>, is_tls: Option<bool>) -> Option<Self> {
        let sentinel = mapping.optional("sentinel");
        let cluster = mapping.optional("cluster");
        let is_cluster = cluster.as_ref().map_or(Some(false), Value::boolean);
        let sentinel = sentinel.map(|value| self::sentinel(&value, is_tls));
        match (sentinel, is_cluster?) {
            (Some(_), true) => {
                cluster?.error("a store has sentinels, or it is a cluster: remove `sentinel` or `cluster`");
                None
            }
            (Some(sentinel), false) => Some(Self::Sentinel(sentinel?)),
            (None, true) => Some(Self::Cluster),
            (None, false) => Some(Self::Single),
        }
    }

    /// The port of an address without one.
    pub(super) fn port(has_sentinel: bool) -> u16 {
        if has_sentinel { SENTINEL_PORT } else { DEFAULT_PORT }
    }
}

fn sentinel(value: &Value<'_>, is_tls: Option<bool>) -> Option<Sentinel> {
    let mut mapping = value.mapping()?;
    let master = mapping.required("master").and_then(|value| value.parse(master));
    let Login { username, password, tls } = Login::read(&mut mapping, is_tls);
    mapping.reject_unknown_keys();
    Some(Sentinel { master: master?, username, password, tls })
}

fn master(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let is_valid = (1..=128).contains(&text.len()) && text.bytes().all(allowed);
    is_valid.then(|| text.to_owned()).ok_or_else(|| "letters, digits and `._-`, at most 128 of them".into())
}
