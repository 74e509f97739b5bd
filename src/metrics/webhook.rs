//! The series of the webhook.

use std::time::{Duration, SystemTime};

use prometheus::{Gauge, Histogram, HistogramOpts, IntCounterVec, Opts, Registry};

use super::instance::register_process;
use super::result_label::result;

/// Upper bounds of the time for a review, in seconds. The API server waits for 10 seconds.
const REVIEW_BUCKETS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// The outcome of a review.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewOutcome {
    /// The pod gets the sidecar.
    Injected,
    /// The pod has the sidecar already.
    Unchanged,
    /// The pod is not to have it.
    Skipped,
    /// The pod is to have it, and cannot have it.
    Denied,
    /// The request is not one that the webhook can answer.
    Malformed,
}

impl ReviewOutcome {
    const ALL: [Self; 5] = [Self::Injected, Self::Unchanged, Self::Skipped, Self::Denied, Self::Malformed];

    /// The value of the label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
            Self::Malformed => "malformed",
        }
    }
}

/// The series of the webhook.
#[derive(Clone)]
pub struct WebhookMetrics {
    reviews: IntCounterVec,
    review_duration: Histogram,
    certificate_end: Gauge,
    certificate_checks: IntCounterVec,
}

impl WebhookMetrics {
    /// Registers the series, together with those of each process.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        register_process(registry)?;
        let reviews = IntCounterVec::new(
            Opts::new("sidekey_webhook_reviews_total", "Reviews of the webhook, by outcome."),
            &["outcome"],
        )?;
        // Present from the start: the rate of a series that appears with its first event misses that event.
        for outcome in ReviewOutcome::ALL {
            reviews.with_label_values(&[outcome.as_str()]).inc_by(0);
        }
        let review_duration = Histogram::with_opts(
            HistogramOpts::new(
                "sidekey_webhook_review_duration_seconds",
                "Duration of a review, from the head of the request to the response.",
            )
            .buckets(REVIEW_BUCKETS.to_vec()),
        )?;
        let certificate_end = Gauge::new(
            "sidekey_webhook_certificate_expiry_timestamp_seconds",
            "When the certificate expires that the webhook presents, as Unix time; 0 if there is none.",
        )?;
        let certificate_checks = IntCounterVec::new(
            Opts::new(
                "sidekey_webhook_certificate_checks_total",
                "Checks of the webhook's certificate and of who trusts it, by result (success, failure).",
            ),
            &["result"],
        )?;
        for success in [true, false] {
            certificate_checks.with_label_values(&[result(success)]).inc_by(0);
        }
        registry.register(Box::new(reviews.clone()))?;
        registry.register(Box::new(review_duration.clone()))?;
        registry.register(Box::new(certificate_end.clone()))?;
        registry.register(Box::new(certificate_checks.clone()))?;
        Ok(Self { reviews, review_duration, certificate_end, certificate_checks })
    }

    /// Counts a review.
    pub fn reviewed(&self, outcome: ReviewOutcome) {
        self.reviews.with_label_values(&[outcome.as_str()]).inc();
    }

    /// Records how long a review took.
    pub fn review_took(&self, duration: Duration) {
        self.review_duration.observe(duration.as_secs_f64());
    }

    /// Sets when the certificate expires.
    pub fn certificate_ends(&self, end: Option<SystemTime>) {
        let end = end.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.certificate_end.set(end.unwrap_or_default().as_secs_f64());
    }

    /// Counts a check of the certificate.
    pub fn certificate_checked(&self, success: bool) {
        self.certificate_checks.with_label_values(&[result(success)]).inc();
    }
}
