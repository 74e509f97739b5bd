//! Requests by caller and service. Both are names of the configuration, so that a caller cannot create a series.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounterVec, Opts};

use super::refusal::Refusal;

/// All counts of a process: they go on over reloads.
#[derive(Clone, Default)]
pub struct CallerCounts(Arc<Mutex<Cells>>);

/// By caller and service.
type Cells = BTreeMap<(String, String), Arc<Cell>>;

/// The counts of one caller and one service.
#[derive(Default)]
struct Cell {
    allowed: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    /// When the last request came, in seconds of Unix time.
    last: AtomicU64,
}

/// The counts of one caller and one service, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerTotals {
    /// The name of the caller.
    pub caller: String,
    /// Requests that were allowed.
    pub allowed: u64,
    /// Requests that were refused.
    pub refused: u64,
    /// When the last request came.
    pub last: SystemTime,
}

/// The counts as the requests of one configuration find them: by position.
pub(super) struct Counts {
    all: CallerCounts,
    callers: Box<[String]>,
    /// The names of the services; the last one is empty, for requests that lead to none.
    services: Box<[String]>,
    cells: Box<[OnceLock<Arc<Cell>>]>,
}

impl CallerCounts {
    /// The counts for these callers and services. Those of others are removed.
    pub(super) fn of<'n>(
        &self,
        callers: impl Iterator<Item = &'n str>,
        services: impl Iterator<Item = &'n str>,
    ) -> Counts {
        let callers: Box<[_]> = callers.map(str::to_owned).collect();
        let services: Box<[_]> = services.chain([""]).map(str::to_owned).collect();
        self.0.lock().retain(|(caller, service), _| callers.contains(caller) && services.contains(service));
        let cells = (0..callers.len() * services.len()).map(|_| OnceLock::new()).collect();
        Counts { all: self.clone(), callers, services, cells }
    }

    /// The counts of a service, by caller.
    fn of_service(&self, service: &str) -> Vec<CallerTotals> {
        let cells = self.0.lock();
        let of_service = cells.iter().filter(|((_, name), _)| name == service);
        let totals = of_service.map(|((caller, _), cell)| CallerTotals {
            caller: caller.clone(),
            allowed: cell.allowed.load(Ordering::Relaxed),
            refused: cell.refused.iter().map(|count| count.load(Ordering::Relaxed)).sum(),
            last: UNIX_EPOCH + Duration::from_secs(cell.last.load(Ordering::Relaxed)),
        });
        totals.collect()
    }
}

impl Counts {
    /// The counts of a service, by caller.
    pub(super) fn totals(&self, service: &str) -> Vec<CallerTotals> {
        self.all.of_service(service)
    }

    /// Counts a request of the caller at that position.
    pub(super) fn count(&self, service: Option<usize>, caller: usize, refusal: Option<Refusal>) {
        let service = service.unwrap_or(self.services.len() - 1);
        let Some(cell) = self.cells.get(caller * self.services.len() + service) else { return };
        let cell = cell.get_or_init(|| {
            let names = (self.callers[caller].clone(), self.services[service].clone());
            self.all.0.lock().entry(names).or_default().clone()
        });
        match refusal.and_then(|refusal| Refusal::ALL.iter().position(|known| *known == refusal)) {
            None => &cell.allowed,
            Some(reason) => &cell.refused[reason],
        }
        .fetch_add(1, Ordering::Relaxed);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        cell.last.store(now, Ordering::Relaxed);
    }
}

fn family() -> prometheus::Result<IntCounterVec> {
    let opts = Opts::new(
        "sidekey_caller_requests_total",
        "Requests by caller, service, decision (allowed, refused) and reason of the refusal.",
    );
    IntCounterVec::new(opts, &["caller", "service", "decision", "reason"])
}

/// The collector of the series.
struct CallerCollector {
    counts: CallerCounts,
    /// For its description alone.
    empty: IntCounterVec,
}

impl CallerCounts {
    /// The collector of the series.
    ///
    /// # Errors
    ///
    /// Never: the name and the help text are valid.
    pub fn collector(&self) -> prometheus::Result<Box<dyn Collector>> {
        Ok(Box::new(CallerCollector { counts: self.clone(), empty: family()? }))
    }
}

impl Collector for CallerCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.empty.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(family) = family() else { return Vec::new() };
        for ((caller, service), cell) in &*self.counts.0.lock() {
            let add = |decision, reason, count: &AtomicU64| {
                let count = count.load(Ordering::Relaxed);
                if count > 0 {
                    family.with_label_values(&[caller.as_str(), service, decision, reason]).inc_by(count);
                }
            };
            add("allowed", "", &cell.allowed);
            for (refusal, count) in Refusal::ALL.iter().zip(&cell.refused) {
                add("refused", refusal.as_str(), count);
            }
        }
        family.collect()
    }
}
