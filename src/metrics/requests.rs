//! The series of one service's requests, and the closed sets of their labels.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::error_reason::{OWN_SERVER_ERRORS, REASONS, UPSTREAM_REASONS};
use super::families::Families;
use super::per_service::Owner;

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

/// Why a request was sent to an upstream again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryReason {
    /// The upstream answered 401, and there was another credential.
    Unauthorized,
    /// The connection ended without a byte of a response.
    ConnectionLost,
    /// The upstream said that it had not processed the request (RFC 9113 §8.7).
    Unprocessed,
    /// The first URL could not be connected to, and there was another.
    Connect,
}

impl RetryReason {
    /// The label's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "unauthorized",
            Self::ConnectionLost => "connection_lost",
            Self::Unprocessed => "unprocessed",
            Self::Connect => "connect",
        }
    }
}

/// The outcome of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryResult {
    /// A response came, other than 401.
    Success,
    /// A response 401 came.
    Unauthorized,
    /// No response came.
    Error,
}

impl RetryResult {
    /// The label's text.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Unauthorized => "unauthorized",
            Self::Error => "error",
        }
    }
}

/// One service's request series, resolved once so that a request does no label lookup.
pub struct ServiceMetrics {
    pub(super) owner: Arc<Owner>,
    pub(super) families: Arc<Families>,
    pub(super) requests: [[OnceLock<IntCounter>; CLASSES.len()]; METHODS.len()],
    pub(super) errors: [OnceLock<IntCounter>; REASONS.len()],
    pub(super) request_duration: Histogram,
    pub(super) in_flight: IntGauge,
    pub(super) upstream_duration: Histogram,
    pub(super) upstream_unauthorized: IntCounter,
}

impl ServiceMetrics {
    /// Counts a request as in flight.
    pub fn begin(&self) {
        self.in_flight.inc();
    }

    /// Counts a request that has ended; `status` is what the caller got, if it got one.
    pub fn end(&self, MethodLabel(method): MethodLabel, status: Option<u16>, took: Duration) {
        self.in_flight.dec();
        self.request_duration.observe(took.as_secs_f64());
        let Some(status) = status else { return };
        let class = class(status);
        let cell = &self.requests[method][class];
        let first = || {
            let labels = [METHODS[method], CLASSES[class]];
            let series = self.families.requests_total.series(&self.owner, &labels)?;
            Some(cell.get_or_init(|| series))
        };
        if let Some(series) = cell.get().or_else(first) {
            series.inc();
        }
    }

    /// Records the head of the upstream's response.
    pub fn upstream_answered(&self, status: u16, took: Duration) {
        self.upstream_duration.observe(took.as_secs_f64());
        if status == 401 {
            self.upstream_unauthorized.inc();
        }
    }

    /// Counts a gRPC call whose credential the upstream did not accept. A 401 is counted with its head.
    pub fn grpc_unauthenticated(&self) {
        self.upstream_unauthorized.inc();
    }

    /// Counts a request that was sent to an upstream again.
    pub fn retried(&self, reason: RetryReason, result: RetryResult) {
        let labels = [reason.as_str(), result.as_str()];
        if let Some(series) = self.families.upstream_retries_total.series(&self.owner, &labels) {
            series.inc();
        }
    }

    /// Counts places in a response that repeated the credential.
    pub fn credential_redacted(&self, count: u64) {
        if let Some(series) = self.families.response_redactions_total.series(&self.owner, &[]) {
            series.inc_by(count);
        }
    }

    /// Counts a text that could not be searched for the credential.
    pub fn body_unsearched(&self) {
        if let Some(series) = self.families.response_bodies_unsearched_total.series(&self.owner, &[]) {
            series.inc();
        }
    }

    /// Counts a request that Sidekey itself could not serve.
    pub fn error(&self, reason: &str) {
        let create = || self.families.request_errors_total.series(&self.owner, &[reason]);
        let Some(known) = REASONS.iter().position(|known| *known == reason) else {
            if let Some(series) = create() {
                series.inc();
            }
            return;
        };
        let cell = &self.errors[known];
        let first = || create().map(|series| cell.get_or_init(|| series));
        if let Some(series) = cell.get().or_else(first) {
            series.inc();
        }
    }

    /// The counts so far.
    pub fn totals(&self) -> RequestTotals {
        let class = |class: usize| {
            self.requests.iter().filter_map(|method| method[class].get()).map(IntCounter::get).sum()
        };
        let error = |reason: &str| {
            let known = REASONS.iter().position(|known| *known == reason)?;
            self.errors[known].get().map(IntCounter::get)
        };
        RequestTotals {
            classes: std::array::from_fn(class),
            unauthorized: self.upstream_unauthorized.get(),
            own_errors: OWN_SERVER_ERRORS.iter().filter_map(|reason| error(reason)).sum(),
            unreachable: UPSTREAM_REASONS.map(|reason| error(reason).unwrap_or_default()),
            duration_seconds: self.request_duration.get_sample_sum(),
            durations: self.request_duration.get_sample_count(),
        }
    }

    /// Requests currently in flight.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.get()
    }
}

/// The counts of one service's series since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct RequestTotals {
    /// Requests answered, by class of status code from 1xx.
    pub classes: [u64; CLASSES.len()],
    /// Responses 401 of the upstream.
    pub unauthorized: u64,
    /// Responses 5xx that Sidekey itself made.
    pub own_errors: u64,
    /// Errors of Sidekey's own, in the order of [`UPSTREAM_REASONS`].
    pub unreachable: [u64; UPSTREAM_REASONS.len()],
    /// Sum of the durations of all requests, in seconds.
    pub duration_seconds: f64,
    /// The number of requests in that sum.
    pub durations: u64,
}
