//! The series of reloads: configuration, secrets, certificate files.

use std::time::SystemTime;

use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry};

use super::result_label::result;

/// The series of reloading.
#[derive(Clone)]
pub struct ReloadMetrics {
    config_total: IntCounterVec,
    config_last_success: Gauge,
    config_in_use: IntGauge,
    secret_total: IntCounterVec,
    secrets_stale: IntGauge,
    secrets_stale_since: Gauge,
    certificate_total: IntCounterVec,
    certificate_in_use: IntGauge,
}

impl ReloadMetrics {
    /// Registers the series.
    pub(super) fn new(registry: &Registry) -> prometheus::Result<Self> {
        let config_total = IntCounterVec::new(
            Opts::new(
                "sidekey_config_reload_total",
                "Reloads of the configuration, by result (success, failure).",
            ),
            &["result"],
        )?;
        let secret_total = IntCounterVec::new(
            Opts::new(
                "sidekey_secret_reload_total",
                "Reloads of changed secrets, by result (success, failure).",
            ),
            &["result"],
        )?;
        let certificate_total = IntCounterVec::new(
            Opts::new(
                "sidekey_certificate_reload_total",
                "Reloads of changed certificate files, by result (success, failure).",
            ),
            &["result"],
        )?;
        for total in [&config_total, &secret_total, &certificate_total] {
            // Present from the start: the rate of a series that appears with its first failure misses that failure.
            for result in ["success", "failure"] {
                total.with_label_values(&[result]).inc_by(0);
            }
            registry.register(Box::new(total.clone()))?;
        }
        let config_last_success = Gauge::new(
            "sidekey_config_last_reload_success_timestamp_seconds",
            "When the configuration in use was read, as Unix time.",
        )?;
        let config_in_use = IntGauge::new(
            "sidekey_config_last_reload_successful",
            "Whether all of the configuration on disk is in use.",
        )?;
        registry.register(Box::new(config_last_success.clone()))?;
        let certificate_in_use = IntGauge::new(
            "sidekey_certificate_last_reload_successful",
            "Whether the last attempt to reload the certificate files was successful.",
        )?;
        certificate_in_use.set(1);
        let secrets_stale = IntGauge::new(
            "sidekey_stale_secrets",
            "Number of secrets that stay in use although their source fails.",
        )?;
        let secrets_stale_since = Gauge::new(
            "sidekey_stale_secrets_oldest_timestamp_seconds",
            "When the source failed of the secret that is stale for the longest time, as Unix time; 0 if none is.",
        )?;
        registry.register(Box::new(secrets_stale.clone()))?;
        registry.register(Box::new(secrets_stale_since.clone()))?;
        registry.register(Box::new(config_in_use.clone()))?;
        registry.register(Box::new(certificate_in_use.clone()))?;
        Ok(Self {
            config_total,
            config_last_success,
            config_in_use,
            secret_total,
            secrets_stale,
            secrets_stale_since,
            certificate_total,
            certificate_in_use,
        })
    }

    /// Says whether all of the configuration is in use that was read at the start.
    pub fn started(&self, is_complete: bool) {
        self.in_use();
        self.config_in_use.set(i64::from(is_complete));
    }

    /// Counts a reload of the configuration.
    pub fn reloaded(&self, success: bool) {
        self.config_total.with_label_values(&[result(success)]).inc();
        if success {
            self.in_use();
        } else {
            self.config_in_use.set(0);
        }
    }

    /// Counts a reload of a changed secret.
    pub fn secret_reloaded(&self, success: bool) {
        self.secret_total.with_label_values(&[result(success)]).inc();
    }

    /// Sets the number of secrets whose sources fail, each with when that began.
    pub fn secrets_stale(&self, since: &[SystemTime]) {
        let count = i64::try_from(since.len()).unwrap_or(i64::MAX);
        self.secrets_stale.set(count);
        let oldest = since.iter().min().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.secrets_stale_since.set(oldest.unwrap_or_default().as_secs_f64());
    }

    /// Counts a reload of changed certificate files.
    pub fn certificates_reloaded(&self, success: bool) {
        self.certificate_total.with_label_values(&[result(success)]).inc();
    }

    /// Sets whether all certificate files on disk are in use.
    pub fn certificates_in_use(&self, all: bool) {
        self.certificate_in_use.set(all.into());
    }

    /// Records that the configuration read just now is in use.
    pub fn in_use(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.config_last_success.set(now.as_secs_f64());
        self.config_in_use.set(1);
    }
}
