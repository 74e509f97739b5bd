//! Which node of a cluster has a key (Redis cluster specification, "Key distribution model" and "Hash tags").

use redis::Value;

use super::replies::server_of;
use crate::config::StoreServer;

/// Number of slots of a cluster.
const SLOTS: u16 = 16384;

/// The slot of all keys with this hash tag.
pub(super) fn slot_of(tag: &str) -> u16 {
    tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    }) % SLOTS
}

/// The primary that has this slot, of the reply to `CLUSTER SLOTS`: a list of ranges, each of its first slot, its last slot, the
/// primary and the replicas. `asked` is the node that has replied: it may not know its own address.
pub(super) fn primary_of(reply: &Value, slot: u16, asked: &StoreServer) -> Option<StoreServer> {
    let Value::Array(ranges) = reply else { return None };
    let range = ranges.iter().find_map(|range| match range {
        Value::Array(range) => match range.as_slice() {
            [Value::Int(first), Value::Int(last), Value::Array(primary), ..] => {
                (*first..=*last).contains(&i64::from(slot)).then_some(primary)
            }
            _ => None,
        },
        _ => None,
    })?;
    let [host, port, ..] = range.as_slice() else { return None };
    server_of(host, port, Some(asked))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::Host;

    fn server(host: &str, port: u16) -> StoreServer {
        StoreServer { host: Host::canonical(host).unwrap(), port }
    }

    #[test]
    fn slot_is_that_of_the_specification() {
        // The check value of CRC16/XMODEM, and slots as `CLUSTER KEYSLOT` of Redis 7.0 has them.
        assert_eq!(slot_of("123456789"), 0x31c3);
        assert_eq!((slot_of("foo"), slot_of("")), (12182, 0));
    }

    #[test]
    fn primary_is_the_first_node_of_the_range() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |host: Value, port: i64| Value::Array(vec![host, Value::Int(port), text("id")]);
        let range = |first: i64, last: i64, nodes: Vec<Value>| {
            Value::Array([vec![Value::Int(first), Value::Int(last)], nodes].concat())
        };
        let reply = Value::Array(vec![
            range(0, 5460, vec![node(text("10.0.0.1"), 7000), node(text("10.0.0.4"), 7003)]),
            range(5461, 10922, vec![node(text(""), 7001)]),
            range(10923, 16383, vec![node(Value::Nil, 7002)]),
        ]);
        let asked = server("10.0.0.9", 1);
        assert_eq!(primary_of(&reply, 5460, &asked), Some(server("10.0.0.1", 7000)));
        assert_eq!(primary_of(&reply, 5461, &asked), Some(server("10.0.0.9", 7001)));
        assert_eq!(primary_of(&reply, 16383, &asked), Some(server("10.0.0.9", 7002)));
        for other in
            [Value::Nil, Value::Array(vec![Value::Int(1)]), Value::Array(vec![range(0, 16383, vec![])])]
        {
            assert_eq!(primary_of(&other, 5, &asked), None);
        }
    }
}
