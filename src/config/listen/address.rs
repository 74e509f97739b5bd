//! Addresses to listen on. No two listeners have the same address.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use crate::config::reader::report::{Report, Spot};
use crate::config::reader::table::{Definition, Format};
use crate::config::reader::value::Value;

/// The format of an address.
pub(crate) const ADDRESS: Format = Format::Defined(&Definition {
    name: "address",
    description: "IP:PORT, localhost:PORT or unix:PATH",
    format: Format::Text,
});

/// Longest path of a Unix socket, in bytes: `sun_path` without its closing zero, on the system with the
/// shortest one.
const MAX_SOCKET_PATH: usize = 103;

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenAddress {
    /// `127.0.0.1:8080`
    Tcp(SocketAddr),
    /// `unix:/run/sidekey.sock`
    Unix(PathBuf),
}

impl std::str::FromStr for ListenAddress {
    type Err = String;

    /// Parses an address as it is written in the configuration.
    fn from_str(text: &str) -> Result<Self, String> {
        parse(text)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Parses an address.
pub(crate) fn parse(text: &str) -> Result<ListenAddress, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix(path);
    }
    if let Some(port) = text.strip_prefix("localhost:")
        && let Ok(port) = port.parse::<u16>()
    {
        return Ok(ListenAddress::Tcp(SocketAddr::from(([127, 0, 0, 1], port))));
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(ListenAddress::Tcp(address));
    }
    Err(explain(text))
}

/// Reads an address.
pub(crate) fn read(value: &Value<'_>) -> Option<ListenAddress> {
    if value.is_number() {
        value.error(BARE_PORT);
        return None;
    }
    value.parse(parse)
}

const BARE_PORT: &str = "a port without an address; use 127.0.0.1:PORT for this machine, \
    0.0.0.0:PORT or \"[::]:PORT\" for every network";

/// The error message for an invalid address, without repeating it.
fn explain(text: &str) -> String {
    if text.parse::<u16>().is_ok() || text.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()) {
        return BARE_PORT.into();
    }
    if text.parse::<IpAddr>().is_ok() || text == "localhost" || (text.starts_with('[') && text.ends_with(']'))
    {
        return "the port is missing; example: 127.0.0.1:8080 or \"[::1]:8080\"".into();
    }
    let name = text.rsplit_once(':').map(|(host, _)| host);
    if name.is_some_and(|name| name.parse::<IpAddr>().is_ok()) {
        return "not a valid port: a port is a number up to 65535 (put an IPv6 address in brackets: \"[::1]:8080\")"
            .into();
    }
    if text.starts_with('/') {
        return "a socket path is written unix:/path".into();
    }
    "not an address to listen on; example: 127.0.0.1:8080, \"[::1]:8080\", localhost:8080 or \
     unix:/run/sidekey.sock"
        .into()
}

fn unix(path: &str) -> Result<ListenAddress, String> {
    if !path.starts_with('/') || path.ends_with('/') {
        return Err("a socket path is absolute: unix:/run/sidekey.sock".into());
    }
    if path.len() > MAX_SOCKET_PATH || path.contains('\0') {
        return Err(format!("a socket path is at most {MAX_SOCKET_PATH} bytes long"));
    }
    Ok(ListenAddress::Unix(PathBuf::from(path)))
}

impl ListenAddress {
    /// Whether other machines can reach it.
    pub(crate) fn is_public(&self) -> bool {
        match self {
            Self::Tcp(address) => !address.ip().to_canonical().is_loopback(),
            Self::Unix(_) => false,
        }
    }
}

/// Addresses, each with what has it.
#[derive(Default)]
pub(crate) struct ListenAddresses {
    taken: Vec<Claim>,
    /// Whether the configuration has `callers`.
    pub(crate) has_callers: bool,
}

struct Claim {
    listen: ListenAddress,
    by: ClaimedBy,
}

/// What claims something that only one may have.
#[derive(Debug, Clone)]
pub(crate) enum ClaimedBy {
    /// A value of the configuration.
    Value(Spot),
    /// Something else, as it is named in messages.
    Other(String),
}

impl ClaimedBy {
    /// A service that runs with its previous settings.
    pub(crate) fn running(service: &str) -> Self {
        Self::Other(format!("the service `{service}`, which runs with its previous settings"))
    }

    /// Its name in a message about another value.
    pub(crate) fn name(&self, report: &Report<'_>, seen_from: &Spot) -> String {
        match self {
            Self::Value(spot) => report.place(spot, seen_from.location.file),
            Self::Other(name) => name.clone(),
        }
    }
}

impl ListenAddresses {
    /// No address yet. `has_callers` says whether the configuration has `callers`.
    pub(crate) fn new(has_callers: bool) -> Self {
        Self { taken: Vec::new(), has_callers }
    }

    /// Notes an address of the file.
    pub(crate) fn reserve(&mut self, value: &Value<'_>, listen: &ListenAddress) {
        self.taken.push(Claim { listen: listen.clone(), by: ClaimedBy::Value(value.spot()) });
    }

    /// Notes an address that stands in no file.
    pub(crate) fn reserve_other(&mut self, listen: &ListenAddress, by: ClaimedBy) {
        self.taken.push(Claim { listen: listen.clone(), by });
    }

    /// Notes the default address of a listener.
    pub(crate) fn reserve_default(&mut self, key: &str, listen: &ListenAddress) {
        self.reserve_other(listen, ClaimedBy::Other(format!("`{key}` (default {listen})")));
    }

    /// Whether no other listener has this address.
    pub(crate) fn is_free(&self, listen: &ListenAddress) -> bool {
        !self.taken.iter().any(|claim| overlap(&claim.listen, listen))
    }

    /// Reports an error for each address noted by others that is not free.
    pub(crate) fn check(&self, others: &Self, report: &Report<'_>) {
        for (index, claim) in others.taken.iter().enumerate() {
            let ClaimedBy::Value(spot) = &claim.by else { continue };
            let mut earlier = self.taken.iter().chain(&others.taken[..index]);
            if let Some(other) = earlier.find(|other| overlap(&other.listen, &claim.listen)) {
                let other = other.by.name(report, spot);
                report.error(spot.location, &spot.path, format!("the address overlaps that of {other}"));
            }
        }
    }

    /// Adds the addresses that others noted.
    pub(crate) fn add(&mut self, others: Self) {
        self.taken.extend(others.taken);
    }
}

/// Whether the two cannot be bound at the same time. `[::]` accepts IPv4 connections as well, as on Linux.
fn overlap(a: &ListenAddress, b: &ListenAddress) -> bool {
    match (a, b) {
        (ListenAddress::Tcp(a), ListenAddress::Tcp(b)) => {
            let (one, other) = (a.ip().to_canonical(), b.ip().to_canonical());
            let covers =
                |wide: IpAddr, narrow: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4());
            a.port() == b.port()
                && a.port() != 0
                && (one == other || covers(one, other) || covers(other, one))
        }
        (ListenAddress::Unix(a), ListenAddress::Unix(b)) => a == b,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> ListenAddress {
        parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn address_is_parsed_in_every_form() {
        assert_eq!(read("127.0.0.1:8080").to_string(), "127.0.0.1:8080");
        assert_eq!(read("localhost:8080").to_string(), "127.0.0.1:8080");
        assert_eq!(read("[::1]:0").to_string(), "[::1]:0");
        assert_eq!(read("unix:/run/s.sock").to_string(), "unix:/run/s.sock");
    }

    #[test]
    fn invalid_address_gets_a_suggestion() {
        let message = |text: &str| parse(text).unwrap_err();
        assert!(message(":8080").contains("0.0.0.0:PORT"));
        assert!(message("8080").contains("0.0.0.0:PORT"));
        assert!(message("127.0.0.1").contains("port is missing"));
        assert!(message("127.0.0.1:70000").contains("65535"));
        assert!(message("::1:80800").contains("brackets"));
        assert!(message("/run/s.sock").contains("unix:"));
        assert!(message("unix:s.sock").contains("absolute"));
        assert!(message("example.com:80").contains("not an address"));
        assert!(parse(&format!("unix:/{}", "x".repeat(200))).is_err());
    }

    #[test]
    fn overlap_is_symmetric_and_covers_wildcards() {
        let both = |a: &str, b: &str| (overlap(&read(a), &read(b)), overlap(&read(b), &read(a)));
        for (a, b) in [
            ("127.0.0.1:1", "127.0.0.1:1"),
            ("127.0.0.1:1", "0.0.0.0:1"),
            ("127.0.0.1:1", "[::]:1"),
            ("[::1]:1", "[::]:1"),
            ("0.0.0.0:1", "[::]:1"),
            ("[::ffff:127.0.0.1]:1", "127.0.0.1:1"),
            ("unix:/a", "unix:/a"),
        ] {
            assert_eq!(both(a, b), (true, true), "{a} {b}");
        }
        for (a, b) in [
            ("127.0.0.1:1", "127.0.0.1:2"),
            ("127.0.0.1:1", "127.0.0.2:1"),
            ("[::1]:1", "0.0.0.0:1"),
            ("127.0.0.1:0", "0.0.0.0:0"),
            ("unix:/a", "unix:/b"),
        ] {
            assert_eq!(both(a, b), (false, false), "{a} {b}");
        }
    }
}
