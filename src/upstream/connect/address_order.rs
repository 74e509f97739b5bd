//! The order in which addresses are tried (RFC 8305 §4); addresses that failed recently come last.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Time for which an address that failed is tried after the others.
const DEPRIORITIZE_TIME: Duration = Duration::from_secs(30);

/// Addresses that failed recently. Used for new connections only.
#[derive(Default)]
pub(crate) struct RecentFailures(Mutex<Vec<(IpAddr, Instant)>>);

impl RecentFailures {
    /// Records a failure.
    pub(crate) fn add(&self, ip: IpAddr) {
        let now = Instant::now();
        let mut failing = self.0.lock();
        failing.retain(|(other, since)| *other != ip && now.duration_since(*since) < DEPRIORITIZE_TIME);
        failing.push((ip, now));
    }

    /// Records that an address accepted a connection.
    pub(crate) fn remove(&self, ip: IpAddr) {
        self.0.lock().retain(|(other, _)| *other != ip);
    }

    /// Alternates between the address families, beginning with that of the first address. Recent failures
    /// come last.
    pub(crate) fn order(&self, addresses: &[SocketAddr]) -> Vec<SocketAddr> {
        let now = Instant::now();
        let failing = self.0.lock();
        let is_failing = |address: &SocketAddr| {
            failing
                .iter()
                .any(|(ip, since)| *ip == address.ip() && now.duration_since(*since) < DEPRIORITIZE_TIME)
        };
        let (last, first): (Vec<_>, Vec<_>) = interleaved(addresses).into_iter().partition(is_failing);
        first.into_iter().chain(last).collect()
    }
}

fn interleaved(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return Vec::new() };
    let (one, other): (Vec<SocketAddr>, Vec<SocketAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first.is_ipv6());
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut all = Vec::with_capacity(addresses.len());
    while all.len() < addresses.len() {
        all.extend(one.next());
        all.extend(other.next());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(all: &[&str]) -> Vec<SocketAddr> {
        all.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn order_alternates_families_and_puts_failures_last() {
        let failing = RecentFailures::default();
        let all = addresses(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let turns = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"]);
        assert_eq!(failing.order(&all), turns);
        failing.add("::1".parse().unwrap());
        failing.add("1.1.1.2".parse().unwrap());
        let later = addresses(&["1.1.1.1:1", "[::2]:1", "[::3]:1", "[::1]:1", "1.1.1.2:1"]);
        assert_eq!(failing.order(&all), later);
        failing.remove("::1".parse().unwrap());
        failing.remove("1.1.1.2".parse().unwrap());
        assert_eq!(failing.order(&all), turns);
        assert!(failing.order(&[]).is_empty());
    }
}
