//! How reloading goes.

use std::time::SystemTime;

use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry};

/// The series of reloading.
#[derive(Clone)]
pub struct ReloadMetrics {
    config_total: IntCounterVec,
    config_last_success: Gauge,
    config_in_use: IntGauge,
    secret_total: IntCounterVec,
    certificate_total: IntCounterVec,
    certificate_in_use: IntGauge,
}

impl ReloadMetrics {
    /// Registers the series.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let config_total = IntCounterVec::new(
            Opts::new(
                "sidekey_config_reload_total",
                "Times that the configuration was read again, by result (success, failure).",
            ),
            &["result"],
        )?;
        let secret_total = IntCounterVec::new(
            Opts::new(
                "sidekey_secret_reload_total",
                "Times that a changed secret was read again, by result (success, failure).",
            ),
            &["result"],
        )?;
        let certificate_total = IntCounterVec::new(
            Opts::new(
                "sidekey_certificate_reload_total",
                "Times that changed certificate files were read again, by result (success, failure).",
            ),
            &["result"],
        )?;
        for total in [&config_total, &secret_total, &certificate_total] {
            // There from the start: a rate of what appears with its first failure misses that failure.
            for result in ["success", "failure"] {
                total.with_label_values(&[result]).inc_by(0);
            }
            registry.register(Box::new(total.clone()))?;
        }
        let config_last_success = Gauge::new(
            "sidekey_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read (Unix time).",
        )?;
        let config_in_use = IntGauge::new(
            "sidekey_config_last_reload_successful",
            "Whether the configuration on disk is the one in use, as far as it was read.",
        )?;
        registry.register(Box::new(config_last_success.clone()))?;
        let certificate_in_use = IntGauge::new(
            "sidekey_certificate_last_reload_successful",
            "Whether the certificate files on disk are what is in use, as far as they were read.",
        )?;
        certificate_in_use.set(1);
        registry.register(Box::new(config_in_use.clone()))?;
        registry.register(Box::new(certificate_in_use.clone()))?;
        Ok(Self {
            config_total,
            config_last_success,
            config_in_use,
            secret_total,
            certificate_total,
            certificate_in_use,
        })
    }

    /// The configuration was read again.
    pub fn reloaded(&self, success: bool) {
        self.config_total.with_label_values(&[result(success)]).inc();
        if success {
            self.in_use();
        } else {
            self.config_in_use.set(0);
        }
    }

    /// A changed secret was.
    pub fn secret_reloaded(&self, success: bool) {
        self.secret_total.with_label_values(&[result(success)]).inc();
    }

    /// Changed certificate files were.
    pub fn certificates_reloaded(&self, success: bool) {
        self.certificate_total.with_label_values(&[result(success)]).inc();
    }

    /// Whether all certificate files on disk are in use.
    pub fn certificates_in_use(&self, all: bool) {
        self.certificate_in_use.set(all.into());
    }

    /// What was read just now is in use.
    pub fn in_use(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.config_last_success.set(now.as_secs_f64());
        self.config_in_use.set(1);
    }
}

fn result(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}
