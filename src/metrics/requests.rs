//! The series of one service's requests, and the closed sets that its labels are of.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge};

/// The reasons of Sidekey's own errors, as in the header `Sidekey-Error`; a test in `proxy` holds this to the code there.
pub const REASONS: [&str; 10] = [
    "unknown_service",
    "forbidden",
    "credential_unavailable",
    "upstream_connect",
    "upstream_tls",
    "upstream_timeout",
    "upstream_protocol",
    "bad_request",
    "too_large",
    "overloaded",
];

/// The reasons that mean: the upstream could not be reached, or not understood.
pub const UPSTREAM_REASONS: [&str; 4] =
    ["upstream_connect", "upstream_tls", "upstream_timeout", "upstream_protocol"];

/// The methods that are counted by name; any other is `OTHER`.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "OTHER"];
/// Classes of status codes.
pub const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The position of a status code's class.
pub(super) fn class(status: u16) -> usize {
    usize::from(status / 100).clamp(1, CLASSES.len()) - 1
}

/// A request's method as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodLabel(usize);

impl MethodLabel {
    /// `CONNECT`
    pub const CONNECT: Self = Self(METHODS.len() - 2);
    /// A method that is not counted by name, or one that could not be read.
    pub const OTHER: Self = Self(METHODS.len() - 1);

    /// The label of a method.
    pub fn of(method: &str) -> Self {
        METHODS.iter().position(|known| *known == method).map_or(Self::OTHER, Self)
    }

    /// The label's text.
    pub fn as_str(self) -> &'static str {
        METHODS[self.0]
    }
}

/// One service's request series, resolved once so that a request does no label lookup.
pub struct ServiceMetrics {
    pub(super) name: String,
    pub(super) requests_total: IntCounterVec,
    pub(super) errors_total: IntCounterVec,
    pub(super) replays_total: IntCounterVec,
    pub(super) requests: [[OnceLock<IntCounter>; CLASSES.len()]; METHODS.len()],
    pub(super) errors: [OnceLock<IntCounter>; REASONS.len()],
    pub(super) request_duration: Histogram,
    pub(super) in_flight: IntGauge,
    pub(super) upstream_duration: Histogram,
    pub(super) upstream_unauthorized: IntCounter,
    /// The service is gone, and its series with it: requests still in flight bring none back.
    pub(super) retired: AtomicBool,
}

impl ServiceMetrics {
    /// A request of this service begins.
    pub fn begin(&self) {
        self.in_flight.inc();
    }

    /// It ends; `status` is what the caller got, if it got one.
    pub fn end(&self, MethodLabel(method): MethodLabel, status: Option<u16>, took: Duration) {
        self.in_flight.dec();
        self.request_duration.observe(took.as_secs_f64());
        let Some(status) = status else { return };
        let class = class(status);
        let series = self.requests[method][class].get().or_else(|| {
            let labels = [self.name.as_str(), METHODS[method], CLASSES[class]];
            let first = || self.requests_total.with_label_values(&labels);
            (!self.is_retired()).then(|| self.requests[method][class].get_or_init(first))
        });
        if let Some(series) = series {
            series.inc();
        }
    }

    /// The upstream answered.
    pub fn upstream_answered(&self, status: u16, took: Duration) {
        self.upstream_duration.observe(took.as_secs_f64());
        if status == 401 {
            self.upstream_unauthorized.inc();
        }
    }

    /// A request was sent once more: `success`, `unauthorized` or `error`.
    pub fn replayed(&self, result: &str) {
        self.replays_total.with_label_values(&[self.name.as_str(), result]).inc();
    }

    /// Sidekey itself could not serve.
    pub fn error(&self, reason: &str) {
        if self.is_retired() {
            return;
        }
        let series = || self.errors_total.with_label_values(&[self.name.as_str(), reason]);
        match REASONS.iter().position(|known| *known == reason) {
            Some(known) => self.errors[known].get_or_init(series).inc(),
            None => series().inc(),
        }
    }

    /// The service is gone: from now on nothing makes a series.
    pub fn retire(&self) {
        self.retired.store(true, Ordering::Relaxed);
    }

    fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Relaxed)
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        let class = |class: usize| {
            self.requests.iter().filter_map(|method| method[class].get()).map(IntCounter::get).sum()
        };
        let error = |reason: &str| {
            let known = REASONS.iter().position(|known| *known == reason)?;
            self.errors[known].get().map(IntCounter::get)
        };
        Totals {
            classes: std::array::from_fn(class),
            unauthorized: self.upstream_unauthorized.get(),
            unreachable: UPSTREAM_REASONS.map(|reason| error(reason).unwrap_or_default()),
            duration_seconds: self.request_duration.get_sample_sum(),
            durations: self.request_duration.get_sample_count(),
        }
    }

    /// Requests in flight right now.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }
}

/// What one service's series have counted since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    /// Requests answered, by class of status code from 1xx.
    pub classes: [u64; CLASSES.len()],
    /// Answers 401 of the upstream.
    pub unauthorized: u64,
    /// Errors of Sidekey's own, in the order of [`UPSTREAM_REASONS`].
    pub unreachable: [u64; UPSTREAM_REASONS.len()],
    /// Time that all requests took together, in seconds.
    pub duration_seconds: f64,
    /// How many requests that was.
    pub durations: u64,
}
