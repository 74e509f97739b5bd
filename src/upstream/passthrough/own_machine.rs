//! Whether an address is this machine's.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

/// Whether a connection to the address stays on this machine: loopback, unspecified (which connects to loopback), and every
/// address of an interface.
pub(super) fn is_own_machine(ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    ip.is_loopback() || ip.is_unspecified() || source_toward(ip).is_ok_and(|source| source == ip)
}

/// The address that this machine would send from. Toward one of its own addresses it is that address. Connecting a UDP socket
/// sends nothing.
fn source_toward(ip: IpAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Any port does.
    socket.connect((ip, 9))?;
    Ok(socket.local_addr()?.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_are_recognized() {
        for ip in ["127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
            assert!(is_own_machine(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["198.51.100.1", "2001:db8::1", "169.254.169.254"] {
            assert!(!is_own_machine(ip.parse().unwrap()), "{ip}");
        }
        // The address of an interface, if there is one beside loopback.
        if let Ok(own) = source_toward([198, 51, 100, 1].into()) {
            assert!(is_own_machine(own), "{own}");
        }
    }
}
