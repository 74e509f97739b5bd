//! Connections to hosts without a service: Sidekey passes the bytes of such a tunnel on, and does not read
//! them.

mod own_machine;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use self::own_machine::is_own_machine;
use crate::config::{Host, Tunnel};
use crate::net::dns::Resolver;
use crate::net::exhaustion;
use crate::net::keepalive::enable_keepalive;

/// Opens connections to hosts without a service.
pub struct PassthroughConnector {
    resolver: Resolver,
    settings: Tunnel,
}

/// What a tunnel to this machine may not lead to, on the port that it is for: under whatever name or address, it would
/// be a way past the credential, or into Sidekey.
#[derive(Debug, Default)]
pub struct Reserved {
    /// Whether Sidekey itself listens on the port.
    pub is_own_port: bool,
    /// The hosts of the upstreams with that port.
    pub upstreams: Vec<Host>,
}

/// The error of opening a tunnel.
#[derive(Debug, thiserror::Error)]
pub enum PassthroughError {
    /// Every address of the host belongs to this machine or to its link.
    #[error("the host is this machine or its link")]
    Local,
    /// Every address of the host is that of this machine, and the port is Sidekey's or that of a service's upstream there.
    #[error("the host is this machine, and the port is Sidekey's or a service's")]
    Reserved,
    /// The name has no address, or no address accepts the connection.
    #[error("cannot connect: {0}")]
    Connect(io::Error),
    /// This process or this machine has no descriptor left for the connection.
    #[error("no connection: {0}")]
    Exhausted(io::Error),
    /// `connect.connect_timeout` has passed.
    #[error("the host did not accept the connection in time")]
    Timeout,
}

impl From<io::Error> for PassthroughError {
    fn from(error: io::Error) -> Self {
        if exhaustion::is_exhaustion(&error) {
            exhaustion::record(&error);
            return Self::Exhausted(error);
        }
        Self::Connect(error)
    }
}

impl PassthroughConnector {
    /// A connector with these settings.
    pub fn new(settings: Tunnel, resolver: Resolver) -> Self {
        Self { resolver, settings }
    }

    /// Time without traffic after which a tunnel is closed.
    pub fn idle(&self) -> Option<Duration> {
        self.settings.idle_timeout
    }

    /// Connects to a host.
    pub async fn connect(
        &self,
        host: &Host,
        port: u16,
        reserved: &Reserved,
    ) -> Result<TcpStream, PassthroughError> {
        timeout(self.settings.connect_timeout, self.open(host, port, reserved))
            .await
            .map_err(|_| PassthroughError::Timeout)?
    }

    async fn open(&self, host: &Host, port: u16, reserved: &Reserved) -> Result<TcpStream, PassthroughError> {
        let addresses = self.resolver.addresses(host, port).await.map_err(PassthroughError::from)?;
        let mut last = PassthroughError::Local;
        // After the name is resolved: the owner of any name can make it resolve to any address.
        for address in addresses {
            if let Err(error) = self.permit(address, reserved).await {
                last = error;
                continue;
            }
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(PassthroughError::Connect)?;
                    enable_keepalive(&stream);
                    return Ok(stream);
                }
                Err(error) => last = PassthroughError::from(error),
            }
        }
        Err(last)
    }

    async fn permit(&self, address: SocketAddr, reserved: &Reserved) -> Result<(), PassthroughError> {
        let is_own = is_own_machine(address.ip());
        if !self.settings.allow_local && (is_own || is_local(address.ip())) {
            return Err(PassthroughError::Local);
        }
        if is_own && (reserved.is_own_port || self.is_upstream_here(address.port(), reserved).await) {
            return Err(PassthroughError::Reserved);
        }
        Ok(())
    }

    /// Whether one of the upstreams is on this machine.
    async fn is_upstream_here(&self, port: u16, reserved: &Reserved) -> bool {
        for host in &reserved.upstreams {
            let addresses = self.resolver.addresses(host, port).await.unwrap_or_default();
            if addresses.iter().any(|address| is_own_machine(address.ip())) {
                return true;
            }
        }
        false
    }
}

/// Whether an address is one that callers must not reach through a proxy: Sidekey's own admin pages, private
/// ports of other programs, a cloud's metadata server.
fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            ip.is_loopback()
                || ip.is_link_local()
                || ip.is_multicast()
                || ip.is_broadcast()
                || ip.octets()[0] == 0
        }
        IpAddr::V6(ip) => {
            ip.is_loopback()
                || ip.is_unicast_link_local()
                || ip.is_multicast()
                || ip.is_unspecified()
                || translated(ip).is_some_and(|ip| is_local(ip.into()))
        }
    }
}

/// The IPv4 address that a gateway, or the system itself, may translate an IPv6 address to: IPv4-compatible addresses (RFC
/// 4291 §2.5.5.1), NAT64 (RFC 6052 §2.1) and 6to4 (RFC 3056 §2).
fn translated(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let parts = ip.segments();
    let (high, low) = match parts {
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => (high, low),
        [0x2002, high, low, ..] => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_local_covers_this_machine_and_its_link() {
        for ip in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "::",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "2002:7f00:1::",
        ] {
            assert!(is_local(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["10.0.0.1", "192.168.1.1", "192.0.2.1", "2001:db8::1", "fd00::1", "64:ff9b::8.8.8.8"] {
            assert!(!is_local(ip.parse().unwrap()), "{ip}");
        }
    }

    #[tokio::test]
    async fn passthrough_rejects_names_of_this_machine() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connector = |allow_local| {
            PassthroughConnector::new(
                Tunnel { allow_local, ..Tunnel::default() },
                Resolver::from_system().unwrap(),
            )
        };
        for host in [Host::Name("localhost".into()), Host::Ip([127, 0, 0, 1].into())] {
            let connected = connector(false).connect(&host, port, &Reserved::default()).await;
            assert!(matches!(connected, Err(PassthroughError::Local)));
        }
        let here = Host::Ip([127, 0, 0, 1].into());
        assert!(connector(true).connect(&here, port, &Reserved::default()).await.is_ok());
        let upstream = |host| Reserved { upstreams: vec![host], is_own_port: false };
        assert!(
            connector(true).connect(&here, port, &upstream(Host::Ip([198, 51, 100, 1].into()))).await.is_ok()
        );
        for reserved in [
            Reserved { is_own_port: true, ..Reserved::default() },
            upstream(Host::Name("localhost".into())),
            upstream(Host::Ip([127, 9, 9, 9].into())),
        ] {
            let connected = connector(true).connect(&here, port, &reserved).await;
            assert!(matches!(connected, Err(PassthroughError::Reserved)), "{reserved:?}");
        }
    }
}
