//! `network` of a caller: the addresses that its connections come from.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::config::reader::table::Format;
use crate::config::reader::value::Value;

/// The format of `network`.
pub(super) const NETWORK: Format = Format::OneOrMore(&Format::Text);

/// A range of addresses.
#[derive(Clone, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// The number of bits that all its addresses share.
    prefix: u8,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        network(text)
    }
}

impl Network {
    /// Whether an address is in it. An IPv4 address that is written as IPv6 is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let prefix = u32::from(self.prefix);
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

/// Reads `network`.
pub(super) fn read(value: &Value<'_>) -> Option<Vec<Network>> {
    // Collected first, so that every error is reported.
    let networks: Vec<_> = value.one_or_more().iter().map(|value| value.parse(network)).collect();
    networks.into_iter().collect()
}

fn network(text: &str) -> Result<Network, String> {
    let invalid = || "a network is written 10.1.0.0/16 or 2001:db8::/32; one address needs no `/`".to_owned();
    let (address, prefix) =
        text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().map_err(|_| invalid())?;
    if address.to_canonical() != address {
        return Err("an IPv4 address that is written as IPv6; write the IPv4 address".into());
    }
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        None => bits,
        Some(digits) if digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok().filter(|prefix| *prefix <= bits).ok_or_else(invalid)?
        }
        Some(_) => return Err(invalid()),
    };
    let host = match address {
        IpAddr::V4(address) => {
            u128::from(address.to_bits() & u32::MAX.checked_shr(prefix.into()).unwrap_or(0))
        }
        IpAddr::V6(address) => address.to_bits() & u128::MAX.checked_shr(prefix.into()).unwrap_or(0),
    };
    if host != 0 {
        return Err(format!(
            "the address has bits beyond the first {prefix}; is the number after `/` right?"
        ));
    }
    Ok(Network { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_contains_its_addresses() {
        for (text, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.1", "10.2.0.0"),
            ("10.1.2.3", "::ffff:10.1.2.3", "10.1.2.4"),
            ("0.0.0.0/0", "255.1.1.1", "::1"),
            ("2001:db8::/32", "2001:db8:1::", "2001:db9::"),
            ("::1", "::1", "127.0.0.1"),
            ("::/0", "fe80::1", "1.2.3.4"),
        ] {
            let network = network(text).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{text}");
            assert!(!network.contains(outside.parse().unwrap()), "{text}");
        }
        for text in
            ["10.1.0.1/16", "10.1.0.0/33", "10.1/16", "::ffff:1.2.3.4", "a", "", "10.1.0.0/", "10.0.0.0/+8"]
        {
            assert!(network(text).is_err(), "{text}");
        }
    }
}
