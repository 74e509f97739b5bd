//! A family of series with the label `service`: it registers itself, hands out its series, and removes those of a service
//! that is gone.

use std::collections::{BTreeSet, HashMap};
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
    /// `None` once it is removed.
    given: RwLock<Option<Given>>,
}

/// The series with further labels that an owner was given: the name of the family, and their values. A removal finds them here,
/// so that it costs what it removes, however many services there are.
pub(super) type Given = BTreeSet<(String, Vec<String>)>;

/// The owners that are not removed, by service and part. All handles of a service share one, also over reloads.
#[derive(Default)]
pub(super) struct Owners(Mutex<HashMap<(String, Part), Arc<Owner>>>);

impl Owners {
    /// The owner of that name; a new one if there is none.
    pub(super) fn get_or_create(&self, service: &str, part: Part) -> Arc<Owner> {
        let given = || RwLock::new(Some(Given::new()));
        let create = || Arc::new(Owner { service: service.to_owned(), given: given() });
        self.0.lock().entry((service.to_owned(), part)).or_insert_with(create).clone()
    }

    /// The owner of that name, if there is one.
    pub(super) fn get(&self, service: &str, part: Part) -> Option<Arc<Owner>> {
        self.0.lock().get(&(service.to_owned(), part)).cloned()
    }

    /// Ends the right of a part. Returns what is then to be removed; `None` if it had no right.
    pub(super) fn remove(&self, service: &str, part: Part) -> Option<Given> {
        let owner = self.0.lock().remove(&(service.to_owned(), part))?;
        owner.given.write().take()
    }
}

/// A vector of series as the prometheus crate has it.
pub(super) trait Vector: Collector + Clone + Sized + 'static {
    type Series;
    fn create(name: &str, help: &str, labels: &[&str]) -> prometheus::Result<Self>;
    fn series(&self, values: &[&str]) -> Self::Series;
    fn remove_series(&self, values: &[&str]);
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

            fn remove_series(&self, values: &[&str]) {
                // Fails if there is none: the family may have another number of labels, or no series of this service.
                let _ = self.remove_label_values(values);
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
pub(super) struct PerService<V> {
    name: String,
    vector: V,
}

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
        Ok(Self { name: name.to_owned(), vector })
    }

    /// The owner's only series in a family without further labels. It is there from the start: a service is never prepared and
    /// removed at the same time.
    pub(super) fn initial(&self, owner: &Owner) -> V::Series {
        self.vector.series(&[&owner.service])
    }

    /// The owner's series with these values of the further labels; `None` if the owner is removed.
    pub(super) fn series(&self, owner: &Owner, values: &[&str]) -> Option<V::Series> {
        // Held until the series exists: a removal comes before that or after.
        let given = owner.given.read();
        let series = || self.vector.series(&[&[owner.service.as_str()], values].concat());
        let key = || (self.name.clone(), values.iter().map(|value| (*value).to_owned()).collect());
        if values.is_empty() || given.as_ref()?.contains(&key()) {
            return given.as_ref().map(|_| series());
        }
        drop(given);
        let mut given = owner.given.write();
        given.as_mut()?.insert(key());
        Some(series())
    }
}

/// What a removal needs of a family.
pub(super) trait Family {
    /// Removes the series of a service: the one without further labels, and those that it was given.
    fn remove(&self, service: &str, given: &Given);
}

impl<V: Vector> Family for PerService<V> {
    fn remove(&self, service: &str, given: &Given) {
        self.vector.remove_series(&[service]);
        for (_, values) in given.iter().filter(|(family, _)| *family == self.name) {
            let values: Vec<_> = std::iter::once(service).chain(values.iter().map(String::as_str)).collect();
            self.vector.remove_series(&values);
        }
    }
}
