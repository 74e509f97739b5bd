//! `shared`: the store through which the processes of a fleet share tokens.

use std::fmt;
use std::time::Duration;

use rustls::pki_types::ServerName;
use url::Url;

use super::host;
use super::host::Host;
use super::reader::duration::DURATION;
use super::reader::mapping::Mapping;
use super::reader::secret::SECRET;
use super::reader::table::{Format, Key, Keys};
use super::reader::value::Value;
use super::reader::{duration, secret};
use super::tls::client;
use super::tls::client::TLS;
use super::tls::model::Tls;
use crate::secret::Secret;

/// The keys of `shared`.
pub(super) const KEYS: Keys = &[
    Key::required(
        "url",
        Format::Pattern("^rediss?://[^/?#]"),
        "URL of the Redis or Valkey: rediss://HOST:PORT.",
    ),
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
    /// The address of the store.
    pub url: StoreUrl,
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

/// The URL of a store, in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreUrl {
    /// Whether the scheme is `rediss`.
    pub is_tls: bool,
    /// The host of the store.
    pub host: Host,
    /// The port; 6379 by default.
    pub port: u16,
    /// The number of the database.
    pub database: u16,
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}:{}/{}", self.host, self.port, self.database)
    }
}

/// Shortest key, in characters: the output of `openssl rand -hex 16`.
const MIN_KEY_LENGTH: usize = 32;
/// The port of Redis.
const DEFAULT_PORT: u16 = 6379;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
const TIMEOUTS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(10));
const DEFAULT_PREFIX: &str = "sidekey";

pub(super) fn read(value: &Value<'_>) -> Option<SharedStore> {
    let mut mapping = value.mapping()?;
    let url = mapping.required("url");
    let username = mapping.optional("username").and_then(|value| value.parse(username));
    let password = mapping.optional("password").and_then(|value| secret::read(&value));
    let tls = mapping.optional("tls");
    let plaintext = mapping.optional("allow_plaintext").and_then(|value| value.boolean()).unwrap_or_default();
    let url = url.and_then(|value| value.parse(|text| store_url(text, plaintext)));
    let is_tls = url.as_ref().map(|url| url.is_tls);
    let tls = tls.map_or_else(Tls::default, |value| self::tls(&value, is_tls));
    let keys = mapping.required("key").and_then(|value| keys(&value));
    let prefix = mapping.optional("prefix").map(|value| value.parse(prefix));
    let timeout = mapping.optional("timeout").map(|value| timeout(&value));
    let when_unavailable =
        mapping.optional("when_unavailable").and_then(|value| value.one_of(&WHEN_UNAVAILABLE));
    let is_default = default(&mut mapping);
    mapping.reject_unknown_keys();
    Some(SharedStore {
        url: url?,
        username,
        password,
        tls,
        keys: keys?,
        prefix: prefix.unwrap_or_else(|| Some(DEFAULT_PREFIX.into()))?,
        timeout: timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?,
        when_unavailable: when_unavailable.unwrap_or(WhenUnavailable::Wait),
        is_default,
    })
}

fn default(mapping: &mut Mapping<'_>) -> bool {
    mapping.optional("default").and_then(|value| value.boolean()).unwrap_or_default()
}

fn tls(value: &Value<'_>, is_tls: Option<bool>) -> Tls {
    if is_tls == Some(false) {
        value.error("`tls` has no effect for a `redis://` URL; use `rediss://`, or remove `tls`");
    }
    client::read(value, None)
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

fn username(text: &str) -> Result<String, String> {
    let is_valid = !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
    is_valid.then(|| text.to_owned()).ok_or_else(|| "a user is one word of visible ASCII".into())
}

fn prefix(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte);
    let is_valid = (1..=64).contains(&text.len()) && text.bytes().all(allowed);
    is_valid.then(|| text.to_owned()).ok_or_else(|| "letters, digits and `_.:-`, at most 64 of them".into())
}

/// Parses the URL of a store. No message repeats it, because it may contain a password.
fn store_url(text: &str, plaintext: bool) -> Result<StoreUrl, String> {
    let (is_tls, rest) = match text.split_once("://") {
        Some(("rediss", rest)) => (true, rest),
        Some(("redis", rest)) => (false, rest),
        Some(("redis+unix" | "unix", _)) => return Err("a Unix socket is not supported".into()),
        _ => return Err("a URL starts with `rediss://` or `redis://` and a host".into()),
    };
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("a URL cannot contain spaces, control characters or backslashes".into());
    }
    if rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@') {
        return Err("the URL contains credentials; put them under `username` and `password`".into());
    }
    if text.contains(['?', '#']) {
        return Err("the URL has a query or a fragment, which has no meaning; remove it".into());
    }
    if rest.contains(',') {
        return Err("several servers are not supported; give the address of one Redis or Valkey".into());
    }
    let url = Url::parse(text).map_err(|error| format!("not a valid URL: {error}"))?;
    let host = host::parse(url.host_str().unwrap_or_default())?;
    if let (true, Host::Name(name)) = (is_tls, &host)
        && ServerName::try_from(name.as_str()).is_err()
    {
        return Err("TLS cannot verify this host name".into());
    }
    if url.port() == Some(0) {
        return Err("port 0 is not a valid port".into());
    }
    if !is_tls && !plaintext && !host.is_loopback() {
        return Err("`redis://` would send the password unencrypted; use `rediss://`, or allow it with \
                    `allow_plaintext: true`"
            .into());
    }
    let database = match url.path().trim_matches('/') {
        "" => 0,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| "the number of the database is too large")?
        }
        _ => return Err("the path of the URL is the number of a database: rediss://HOST:PORT/0".into()),
    };
    Ok(StoreUrl { is_tls, host, port: url.port().unwrap_or(DEFAULT_PORT), database })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn store_url_has_host_port_and_database() {
        let read = |text: &str| store_url(text, false).map(|url| url.to_string());
        assert_eq!(read("rediss://redis.example").unwrap(), "rediss://redis.example:6379/0");
        assert_eq!(read("rediss://redis.example:7000/3").unwrap(), "rediss://redis.example:7000/3");
        assert_eq!(read("redis://127.0.0.1:7").unwrap(), "redis://127.0.0.1:7/0");
        assert_eq!(read("redis://[::1]/").unwrap(), "redis://[::1]:6379/0");
        assert_eq!(store_url("redis://valkey.svc", true).unwrap().to_string(), "redis://valkey.svc:6379/0");
    }

    #[test]
    fn store_url_of_another_form_is_rejected() {
        for text in [
            "",
            "redis.example:6379",
            "https://redis.example",
            "redis://redis.example",
            "redis+unix:///run/redis.sock",
            "unix:///run/redis.sock",
            "rediss://",
            "rediss://me:CANARY@redis.example",
            "rediss://@redis.example",
            "rediss://redis.example?db=1",
            "rediss://redis.example#insecure",
            "rediss://a.example,b.example",
            "rediss://redis.example:0",
            "rediss://redis.example:99999",
            "rediss://redis.example/x",
            "rediss://redis.example/99999",
            "rediss://a b",
            "rediss://-a_",
        ] {
            let error = store_url(text, false).unwrap_err();
            assert!(!error.contains("CANARY"), "{text}: {error}");
        }
    }
}
