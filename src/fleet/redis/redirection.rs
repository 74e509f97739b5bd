//! What a node of a cluster answers if another node has the keys (Redis cluster specification, "Redirection and resharding").
//!
//! The text of an answer is the node's own. A server that it names is reached as every other one is: by Sidekey's rules for TLS and
//! plaintext, and with a login that follows them.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::replies::server_named;
use crate::config::StoreServer;

/// Where a command belongs instead.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Redirection {
    /// The slot has another node, from now on (`MOVED`).
    Moved(StoreServer),
    /// The slot is being moved to another node, which has the keys of this command already (`ASK`).
    Ask(StoreServer),
    /// The slot is being moved, and each of two nodes has some of the keys (`TRYAGAIN`).
    TryAgain,
}

/// The redirection that a node answered, for a command whose keys are in this slot. `None` if the answer is something else, or names
/// another slot, or no server.
pub(super) fn redirection(error: &RedisError, slot: u16, answered: &StoreServer) -> Option<Redirection> {
    let to_server = match error.kind() {
        ErrorKind::Server(ServerErrorKind::Moved) => Redirection::Moved,
        ErrorKind::Server(ServerErrorKind::Ask) => Redirection::Ask,
        ErrorKind::Server(ServerErrorKind::TryAgain) => return Some(Redirection::TryAgain),
        _ => return None,
    };
    let (address, of_slot) = error.redirect_node()?;
    // An IPv6 address has no brackets here.
    let (host, port) = address.rsplit_once(':')?;
    (of_slot == slot).then(|| server_named(host, port, Some(answered)).map(to_server)).flatten()
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;
    use crate::config::Host;

    const SLOT: u16 = 3999;

    fn server(host: &str, port: u16) -> StoreServer {
        let host = host.parse().map(Host::Ip).ok().or_else(|| Host::canonical(host));
        StoreServer { host: host.expect("a host"), port }
    }

    fn read(answer: &str) -> Option<Redirection> {
        let value = parse_redis_value(format!("-{answer}\r\n").as_bytes()).expect("a reply");
        redirection(&value.extract_error().expect_err("an error"), SLOT, &server("10.0.0.9", 7009))
    }

    #[test]
    fn answer_names_the_server_of_the_keys() {
        for (answer, expected) in [
            ("MOVED 3999 10.0.0.1:7001", Redirection::Moved(server("10.0.0.1", 7001))),
            ("ASK 3999 10.0.0.1:7001", Redirection::Ask(server("10.0.0.1", 7001))),
            ("MOVED 3999 node-2.example:7001", Redirection::Moved(server("node-2.example", 7001))),
            ("ASK 3999 2001:db8::1:7001", Redirection::Ask(server("2001:db8::1", 7001))),
            // A node that does not know how others are reached: the host is that of the node that has answered.
            ("MOVED 3999 :7001", Redirection::Moved(server("10.0.0.9", 7001))),
            ("ASK 3999 ?:7001", Redirection::Ask(server("10.0.0.9", 7001))),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Redirection::TryAgain),
        ] {
            assert_eq!(read(answer), Some(expected), "{answer}");
        }
    }

    #[test]
    fn answer_that_names_no_server_of_the_slot_is_none() {
        for answer in [
            "MOVED",
            "MOVED 3999",
            "MOVED 3999 10.0.0.1",
            "MOVED 3999 10.0.0.1:",
            "MOVED 3999 10.0.0.1:0",
            "MOVED 3999 10.0.0.1:65536",
            "MOVED 3999 10.0.0.1:-1",
            "MOVED 4000 10.0.0.1:7001",
            "MOVED -1 10.0.0.1:7001",
            "MOVED 10.0.0.1:7001 3999",
            "ASK 3999 https://x.example:7001",
            "ASK 3999 user@x.example:7001",
            "ASK 70000 10.0.0.1:7001",
            "CLUSTERDOWN Hash slot not served",
            "ERR MOVED 3999 10.0.0.1:7001",
        ] {
            assert_eq!(read(answer), None, "{answer}");
        }
    }
}
