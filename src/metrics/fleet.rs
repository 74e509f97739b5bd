//! The series of the shared store of a fleet. They exist only if the configuration has one.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

use super::result_label::result;

/// The series of the shared store.
#[derive(Clone)]
pub struct FleetMetrics {
    up: IntGauge,
    members: IntGauge,
    commands: IntCounterVec,
    command_duration: Histogram,
}

impl FleetMetrics {
    /// Registers the series.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let up =
            IntGauge::new("sidekey_shared_store_up", "1 while the shared store can be used, otherwise 0.")?;
        let members = IntGauge::new(
            "sidekey_shared_store_processes",
            "Processes that are connected to the shared store with the same prefix, this one included.",
        )?;
        let commands = IntCounterVec::new(
            Opts::new(
                "sidekey_shared_store_commands_total",
                "Commands to the shared store, by result (success, failure).",
            ),
            &["result"],
        )?;
        let command_duration = Histogram::with_opts(
            HistogramOpts::new(
                "sidekey_shared_store_command_duration_seconds",
                "Duration of one command to the shared store.",
            )
            .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5]),
        )?;
        for success in [true, false] {
            commands.with_label_values(&[result(success)]);
        }
        registry.register(Box::new(up.clone()))?;
        registry.register(Box::new(members.clone()))?;
        registry.register(Box::new(commands.clone()))?;
        registry.register(Box::new(command_duration.clone()))?;
        Ok(Self { up, members, commands, command_duration })
    }

    /// Whether the store can be used.
    pub fn up(&self, is_up: bool) {
        self.up.set(i64::from(is_up));
    }

    /// The number of processes.
    pub fn members(&self, count: u64) {
        self.members.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a command that has ended.
    pub fn command_finished(&self, success: bool, took: Duration) {
        self.commands.with_label_values(&[result(success)]).inc();
        self.command_duration.observe(took.as_secs_f64());
    }
}
