//! A family of series with the label `service`: it registers itself, hands out its series, and removes those of a service
//! that is gone.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// Upper bounds in seconds, from a proxy's own cost on loopback to a slow report.
const DURATIONS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// The part of a service that a family measures. A service can lose its token and stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part {
    Requests,
    Token,
}

/// The right of one part of a service to have series. It ends for good when the part is removed, so that a request which
/// ends later brings no series back.
pub(super) struct Owner {
    service: String,
    is_removed: RwLock<bool>,
}

/// The owners that are not removed, by service and part. All handles of a service share one, also over reloads.
#[derive(Default)]
pub(super) struct Owners(Mutex<HashMap<(String, Part), Arc<Owner>>>);

impl Owners {
    /// The owner of that name; a new one if there is none.
    pub(super) fn get_or_create(&self, service: &str, part: Part) -> Arc<Owner> {
        let create = || Arc::new(Owner { service: service.to_owned(), is_removed: RwLock::new(false) });
        self.0.lock().entry((service.to_owned(), part)).or_insert_with(create).clone()
    }

    /// The owner of that name, if there is one.
    pub(super) fn get(&self, service: &str, part: Part) -> Option<Arc<Owner>> {
        self.0.lock().get(&(service.to_owned(), part)).cloned()
    }

    /// Ends the right of a part; what it has is then to be removed.
    pub(super) fn remove(&self, service: &str, part: Part) {
        if let Some(owner) = self.0.lock().remove(&(service.to_owned(), part)) {
            *owner.is_removed.write() = true;
        }
    }
}

/// A vector of series as the prometheus crate has it.
pub(super) trait Vector: Collector + Clone + Sized + 'static {
    type Series;
    fn create(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self>;
    fn series(&self, values: &[&str]) -> Self::Series;
    fn remove_series(&self, labels: &HashMap<&str, &str>);
}

macro_rules! vector {
    ($vector:ty, $series:ty, $create:expr) => {
        impl Vector for $vector {
            type Series = $series;

            fn create(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self> {
                $create(name, help, labels)
            }

            fn series(&self, values: &[&str]) -> $series {
                self.with_label_values(values)
            }

            fn remove_series(&self, labels: &HashMap<&str, &str>) {
                // Fails only if another thread was faster.
                let _ = self.remove(labels);
            }
        }
    };
}

vector!(IntCounterVec, IntCounter, |name, help, labels: &[_]| Self::new(Opts::new(name, help), labels));
vector!(IntGaugeVec, IntGauge, |name, help, labels: &[_]| Self::new(Opts::new(name, help), labels));
vector!(HistogramVec, Histogram, |name, help, labels: &[_]| {
    Self::new(HistogramOpts::new(name, help).buckets(DURATIONS.to_vec()), labels)
});

/// A family of series whose first label is `service`.
pub(super) struct PerService<V>(V);

impl<V: Vector> PerService<V> {
    /// Creates the family and registers it; `labels` are those after `service`.
    pub(super) fn register(
        registry: &Registry,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> prometheus::Result<Self> {
        let vector = V::create(name, help, &[&["service"], labels].concat())?;
        registry.register(Box::new(vector.clone()))?;
        Ok(Self(vector))
    }

    /// The owner's only series in a family without further labels. It is there from the start: a service is never prepared and
    /// removed at the same time.
    pub(super) fn initial(&self, owner: &Owner) -> V::Series {
        self.0.series(&[&owner.service])
    }

    /// The owner's series with these values of the further labels; `None` if the owner is removed.
    pub(super) fn series(&self, owner: &Owner, values: &[&str]) -> Option<V::Series> {
        // Held until the series exists: a removal comes before that or after.
        let is_removed = owner.is_removed.read();
        (!*is_removed).then(|| self.0.series(&[&[owner.service.as_str()], values].concat()))
    }
}

/// What a removal needs of a family.
pub(super) trait Family {
    /// Removes the series of a service, whatever their other labels are.
    fn remove(&self, service: &str);
}

impl<V: Vector> Family for PerService<V> {
    fn remove(&self, service: &str) {
        for family in self.0.collect() {
            for metric in family.get_metric() {
                let labels: HashMap<_, _> =
                    metric.get_label().iter().map(|label| (label.name(), label.value())).collect();
                if labels.get("service") == Some(&service) {
                    self.0.remove_series(&labels);
                }
            }
        }
    }
}
