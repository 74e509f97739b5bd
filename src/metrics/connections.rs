//! Connections that callers have open, by listener.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};

/// The counters of all listeners. A listener's series ends with its last connection.
#[derive(Clone, Default)]
pub struct ConnectionMetrics(Arc<Mutex<Vec<Weak<OpenConnections>>>>);

/// The connections of one listener.
#[derive(Debug, Default)]
pub struct OpenConnections {
    listener: String,
    open: AtomicUsize,
}

/// One connection; counted until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<OpenConnections>);

impl ConnectionMetrics {
    /// Registers the series.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::default();
        registry.register(Box::new(ConnectionCollector { listeners: metrics.clone(), empty: gauge()? }))?;
        Ok(metrics)
    }

    /// A counter for the listener at that address. Listeners with equal addresses are counted together: one is closing, and the
    /// other has its socket.
    pub fn listener(&self, address: String) -> Arc<OpenConnections> {
        let connections = Arc::new(OpenConnections { listener: address, open: AtomicUsize::new(0) });
        let mut listeners = self.0.lock();
        listeners.retain(|listener| listener.strong_count() > 0);
        listeners.push(Arc::downgrade(&connections));
        connections
    }
}

impl OpenConnections {
    /// The address of the listener.
    pub fn listener(&self) -> &str {
        &self.listener
    }

    /// Counts a connection.
    pub fn track(self: &Arc<Self>) -> OpenConnection {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

fn gauge() -> prometheus::Result<IntGaugeVec> {
    let opts = Opts::new(
        "sidekey_connections_open",
        "Connections that callers have open, by the listener's address.",
    );
    IntGaugeVec::new(opts, &["listener"])
}

struct ConnectionCollector {
    listeners: ConnectionMetrics,
    /// For its description alone.
    empty: IntGaugeVec,
}

impl Collector for ConnectionCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut open = BTreeMap::<String, usize>::new();
        for listener in self.listeners.0.lock().iter().filter_map(Weak::upgrade) {
            *open.entry(listener.listener.clone()).or_default() += listener.open.load(Ordering::Relaxed);
        }
        let gauge = gauge().expect("it was made before");
        for (listener, open) in open {
            gauge.with_label_values(&[&listener]).set(i64::try_from(open).unwrap_or(i64::MAX));
        }
        gauge.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_open_is_counted_by_listener_until_the_last_one_ends() {
        let registry = Registry::new();
        let metrics = ConnectionMetrics::new(&registry).unwrap();
        let series = || -> Vec<String> {
            let families = registry.gather();
            let all = families.iter().flat_map(prometheus::proto::MetricFamily::get_metric);
            all.map(|one| format!("{} {}", one.get_label()[0].value(), one.get_gauge().get_value())).collect()
        };
        let (closing, other) = (metrics.listener("127.0.0.1:1".into()), metrics.listener("[::1]:2".into()));
        let (first, second) = (closing.track(), closing.track());
        assert_eq!(series(), ["127.0.0.1:1 2", "[::1]:2 0"]);
        let same_socket = metrics.listener("127.0.0.1:1".into());
        let _third = same_socket.track();
        drop((first, closing));
        assert_eq!(series()[0], "127.0.0.1:1 2");
        drop((second, other));
        assert_eq!(series(), ["127.0.0.1:1 1"]);
    }
}
