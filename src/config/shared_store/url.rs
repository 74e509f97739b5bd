//! The addresses of a store.

use std::fmt;

use rustls::pki_types::ServerName;
use url::Url;

use crate::config::host;
use crate::config::host::Host;
use crate::config::reader::value::Value;

/// The servers that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreServers {
    /// The servers, one or more.
    pub servers: Vec<StoreServer>,
    /// Whether the scheme is `rediss`.
    pub is_tls: bool,
    /// The number of the database.
    pub database: u16,
}

/// A server: its host and its port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreServer {
    /// The name or the address of the server.
    pub host: Host,
    /// The TCP port of the server.
    pub port: u16,
}

impl fmt::Display for StoreServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Most servers of one configuration.
const MAX_SERVERS: usize = 32;

/// Reads one URL, or a list of them that differ in their servers only. Their port is `port` if they have none.
pub(super) fn read(value: &Value<'_>, port: u16, plaintext: bool) -> Option<StoreServers> {
    let urls = value.one_or_more();
    if urls.len() > MAX_SERVERS {
        value.error(format!("at most {MAX_SERVERS} addresses"));
        return None;
    }
    let mut read: Option<StoreServers> = None;
    for url in urls {
        let one = url.parse(|text| parse(text, port, plaintext))?;
        match &mut read {
            None => read = Some(one),
            Some(all) if (all.is_tls, all.database) != (one.is_tls, one.database) => {
                url.error("all addresses have the same scheme and the same number of a database");
                return None;
            }
            Some(all) if all.servers.contains(&one.servers[0]) => {
                url.error("this address is in the list already");
                return None;
            }
            Some(all) => all.servers.extend(one.servers),
        }
    }
    read
}

/// Parses the URL of a store. No message repeats it, because it may contain a password.
fn parse(text: &str, port: u16, plaintext: bool) -> Result<StoreServers, String> {
    let (is_tls, rest) = match text.split_once("://") {
        Some(("rediss", rest)) => (true, rest),
        Some(("redis", rest)) => (false, rest),
        Some(("redis+unix" | "unix", _)) => return Err("a Unix socket is not supported".into()),
        Some((scheme, _)) if scheme.contains("sentinel") => {
            return Err("sentinels are `rediss://` addresses, beside the key `sentinel` with the name of their primary".into());
        }
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
        return Err("several servers are a list of URLs".into());
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
    let server = StoreServer { host, port: url.port().unwrap_or(port) };
    Ok(StoreServers { servers: vec![server], is_tls, database })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str, plaintext: bool) -> Result<String, String> {
        let read = parse(text, 6379, plaintext)?;
        Ok(format!("{} {} {}", read.is_tls, read.servers[0], read.database))
    }

    #[test]
    fn store_url_has_host_port_and_database() {
        assert_eq!(read("rediss://redis.example", false).unwrap(), "true redis.example:6379 0");
        assert_eq!(read("rediss://redis.example:7000/3", false).unwrap(), "true redis.example:7000 3");
        assert_eq!(read("redis://127.0.0.1:7", false).unwrap(), "false 127.0.0.1:7 0");
        assert_eq!(read("redis://[::1]/", false).unwrap(), "false [::1]:6379 0");
        assert_eq!(read("redis://valkey.svc", true).unwrap(), "false valkey.svc:6379 0");
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
            "redis-sentinel://a.example:26379/mymaster",
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
            let error = read(text, false).unwrap_err();
            assert!(!error.contains("CANARY"), "{text}: {error}");
        }
    }
}
