//! `shared`: the store through which the processes of a fleet share tokens.

mod login;
mod topology;
mod url;

use std::time::Duration;

use super::reader::duration::DURATION;
use super::reader::mapping::Mapping;
use super::reader::secret::SECRET;
use super::reader::table::{Format, Key, Keys};
use super::reader::value::Value;
use super::reader::{duration, secret};
use super::tls::client::TLS;
use super::tls::model::Tls;
use crate::secret::Secret;

use login::Login;
pub use topology::{Sentinel, Topology};
pub use url::{StoreServer, StoreServers};

/// The keys of `shared`.
pub(super) const KEYS: Keys = &[
    Key::required(
        "url",
        Format::OneOrMore(&Format::Pattern("^rediss?://[^/?#]")),
        "URL of the Redis or Valkey: rediss://HOST:PORT. Several are those of sentinels, or of nodes of a cluster.",
    ),
    Key::optional(
        "sentinel",
        Format::Keys(&[topology::SENTINEL]),
        "`url` has sentinels, which name the primary.",
    ),
    Key::optional("cluster", Format::Bool, "`url` has nodes of a cluster.").or("false"),
    Key::optional("username", Format::Text, "User at the store."),
    Key::optional("password", SECRET, "Its password."),
    Key::optional("tls", TLS, "TLS toward the store."),
    Key::optional("allow_plaintext", Format::Bool, "`url` may be redis:// to another machine.").or("false"),
    Key::required(
        "key",
        Format::OneOrMore(&SECRET),
        "What is shared is encrypted with: at least 32 characters. The first of a list encrypts, all of them decrypt.",
    ),
    Key::optional(
        "prefix",
        Format::Pattern("^[A-Za-z0-9_.:-]{1,64}$"),
        "What the names of all keys in the store begin with.",
    )
    .or("sidekey"),
    Key::optional("timeout", DURATION, "Limit on one step of the store, from 50ms to 10s.").or("1s"),
    Key::optional(
        "when_unavailable",
        Format::Words(&WHEN_UNAVAILABLE),
        "Whether a refresh token is spent while the store cannot be used.",
    )
    .or("wait"),
    Key::optional(
        "default",
        Format::Bool,
        "Every service that can share takes part, unless it has `share: false`.",
    )
    .or("false"),
];

/// `shared.when_unavailable`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnavailable {
    /// No refresh token is spent; the token at hand is used to its end.
    Wait,
    /// A process goes on with the refresh token that it has, as if it were alone.
    Alone,
}

const WHEN_UNAVAILABLE: [(&str, WhenUnavailable); 2] =
    [("wait", WhenUnavailable::Wait), ("alone", WhenUnavailable::Alone)];

/// `shared`: tokens are shared by the processes of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedStore {
    /// The servers that the configuration names.
    pub url: StoreServers,
    /// Which server has the records.
    pub topology: Topology,
    /// Whether servers of other machines may be reached without TLS.
    pub allows_plaintext: bool,
    /// The user at the store.
    pub username: Option<String>,
    /// The password of the user.
    pub password: Option<Secret>,
    /// TLS toward the store.
    pub tls: Tls,
    /// The secrets that keys are derived from, at least one. The first one encrypts.
    pub keys: Vec<Secret>,
    /// What the names of all keys in the store begin with.
    pub prefix: String,
    /// The limit on one step of the store.
    pub timeout: Duration,
    /// Whether a refresh token is spent while the store cannot be used.
    pub when_unavailable: WhenUnavailable,
    /// Whether every service that can share takes part.
    pub is_default: bool,
}

/// Shortest key, in characters: the output of `openssl rand -hex 16`.
const MIN_KEY_LENGTH: usize = 32;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
const DEFAULT_PREFIX: &str = "sidekey";

pub(super) fn read(value: &Value<'_>) -> Option<SharedStore> {
    let mut mapping = value.mapping()?;
    let url = mapping.required("url");
    let allows_plaintext =
        mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    let port = Topology::port(mapping.optional("sentinel").is_some());
    let servers = url.as_ref().and_then(|value| url::read(value, port, allows_plaintext));
    let is_tls = servers.as_ref().map(|servers| servers.is_tls);
    let Login { username, password, tls } = Login::read(&mut mapping, is_tls);
    let topology = Topology::read(&mut mapping, is_tls);
    if let (Some(value), Some(servers), Some(topology)) = (&url, &servers, &topology) {
        check(value, servers, topology);
    }
    let keys = mapping.required("key").and_then(|value| keys(&value));
    let prefix = mapping.optional("prefix").map(|value| value.parse(prefix));
    let timeout = mapping.optional("timeout").map(|value| timeout(&value));
    let when_unavailable =
        mapping.optional("when_unavailable").and_then(|value| value.one_of(&WHEN_UNAVAILABLE));
    let is_default = default(&mut mapping);
    mapping.reject_unknown_keys();
    Some(SharedStore {
        url: servers?,
        topology: topology?,
        allows_plaintext,
        username,
        password,
        tls: tls.unwrap_or_default(),
        keys: keys?,
        prefix: prefix.unwrap_or_else(|| Some(DEFAULT_PREFIX.into()))?,
        timeout: timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?,
        when_unavailable: when_unavailable.unwrap_or(WhenUnavailable::Wait),
        is_default,
    })
}

/// Reports addresses that do not fit to how the servers belong together.
fn check(value: &Value<'_>, servers: &StoreServers, topology: &Topology) {
    match topology {
        Topology::Single if servers.servers.len() > 1 => value.error(
            "several servers are sentinels, whose primary `sentinel: { master: NAME }` names, or nodes of a cluster, with \
             `cluster: true`",
        ),
        Topology::Cluster if servers.database != 0 => value.error("a cluster has the database 0 only"),
        _ => {}
    }
}

fn default(mapping: &mut Mapping<'_>) -> bool {
    mapping.optional("default").and_then(|value| value.boolean()).unwrap_or_default()
}

fn keys(value: &Value<'_>) -> Option<Vec<Secret>> {
    let mut keys: Vec<Secret> = Vec::new();
    for value in value.one_or_more() {
        let key = secret::read(&value)?;
        if key.length() < MIN_KEY_LENGTH {
            value.error(format!(
                "the key is shorter than {MIN_KEY_LENGTH} characters and could be guessed; \
                 `openssl rand -base64 32` prints a good one"
            ));
            return None;
        }
        if keys.contains(&key) {
            value.error("this key is in the list already");
            return None;
        }
        keys.push(key);
    }
    if keys.is_empty() {
        value.error("at least one key is required");
        return None;
    }
    Some(keys)
}

fn timeout(value: &Value<'_>) -> Option<Duration> {
    let timeout = duration::positive(value)?;
    if timeout < TIMEOUTS.0 || timeout > TIMEOUTS.1 {
        value.error("from `50ms` to `10s`");
        return None;
    }
    Some(timeout)
}

fn prefix(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    let is_valid = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
    is_valid.then(|| text.to_owned()).ok_or_else(|| "letters, digits and `_.:-`, at most 64 of them".into())
}
