//! A reload: first all that can fail, without a change to what runs; then the swap, which cannot fail.

use std::sync::Arc;

use crate::audit::AuditLog;
use crate::callers::CallerPolicy;
use crate::config::{Config, LastGood};
use crate::reload::{ApplyConfig, ReloadReport};
use crate::tls::expiry;
use crate::tls::reloadable::Reloaded;

use super::app::{App, State};
use super::caller_keys::NeededKeys;
use super::listeners::{ActiveListener, ListenerInfo, ListenerPlan};
use super::otel::PreparedExport;
use super::problems;
use super::restart_only;
use super::services;
use super::services::PreparedServices;
use super::snapshot::{Access, ConnectPolicy, audit_log, snapshot};
use super::warnings::log_warnings;
use super::worker::PreparedListener;

/// Everything that a new configuration needs and that could have failed.
struct Prepared {
    services: PreparedServices,
    listeners: ListenerPlan,
    connect_policy: ConnectPolicy,
    traces: PreparedExport,
    caller_keys: NeededKeys,
    audit: Option<Arc<AuditLog>>,
    /// Accept loops for the listeners that are new, with the index of their worker.
    accept_loops: Vec<(usize, PreparedListener)>,
}

impl ApplyConfig for App {
    fn apply(&self, config: Config) -> Result<ReloadReport, String> {
        let mut state = self.state.lock();
        if state.stopping {
            return Err("Sidekey is stopping".into());
        }
        let prepared = self.prepare(&state, &config).map_err(|error| {
            services::discard(&state.services, &config, &self.metrics);
            format!("{error:#}")
        })?;
        Ok(self.swap(&mut state, config, prepared))
    }

    fn last_good(&self) -> LastGood {
        self.state.lock().config.last_good()
    }

    fn reload_certificates(&self) -> Vec<Reloaded> {
        let listeners: Vec<_> = {
            let state = self.state.lock();
            let with_tls =
                |listener: &ActiveListener| Some((listener.tls.clone()?, listener.info.address.clone()));
            state.listeners.iter().filter_map(with_tls).collect()
        };
        let mut reloaded = self.factory.tls.reload();
        reloaded.extend(listeners.iter().filter_map(|(tls, address)| tls.reload(address)));
        reloaded.extend(self.runtime.current().intercept.as_ref().and_then(|ca| ca.reload()));
        if reloaded.iter().any(|one| one.result.is_ok()) {
            // The expiry dates are read again.
            self.certificates.send_modify(|_| ());
        }
        reloaded
    }
}

impl App {
    /// Builds what a configuration needs beside what runs. Changes nothing.
    fn prepare(&self, state: &State, config: &Config) -> anyhow::Result<Prepared> {
        let services = self.factory.prepare(&state.services, config)?;
        let listeners = state.listeners.plan(config, &self.metrics.connections())?;
        let connect_policy =
            ConnectPolicy::new(&self.factory, config, self.runtime.current().intercept.clone())?;
        let traces = state.traces.prepare(&self.factory, config)?;
        let mut accept_loops = Vec::new();
        for listener in listeners.opened() {
            for worker in 0..state.workers.len() {
                accept_loops.push((worker, PreparedListener::new(listener, &self.plane)?));
            }
        }
        let caller_keys = self.caller_keys.needed(&self.factory, config)?;
        let audit = audit_log(self.runtime.current().audit.clone(), config, &self.audit_metrics)?;
        Ok(Prepared { services, listeners, connect_policy, traces, caller_keys, audit, accept_loops })
    }

    /// Puts a prepared configuration in place of the one that runs.
    fn swap(&self, state: &mut State, config: Config, prepared: Prepared) -> ReloadReport {
        let Prepared { services, listeners, connect_policy, traces, caller_keys, audit, accept_loops } =
            prepared;
        let opened: Vec<_> = listeners.opened().map(|listener| listener.info.clone()).collect();

        let tracer = state.traces.apply(traces, &self.metrics.traces());
        self.factory.traces.set(tracer.clone());
        let services = services.start(&mut state.services, &self.metrics);
        let before = self.runtime.current();
        let callers =
            CallerPolicy::new(&config, before.callers.as_deref(), &self.caller_counts, &caller_keys);
        if let Some(audit) = &audit {
            audit.reopen();
        }
        let access = Access { callers, audit };
        let next = snapshot(&config, &services, connect_policy, tracer, access, &before.problems);
        problems::log(&next, &before.problems);
        log_warnings(&config.warnings, &state.config.warnings);
        self.runtime.replace(next);
        for (worker, accept_loop) in accept_loops {
            state.workers[worker].serve(accept_loop);
        }
        let closed = state.listeners.apply(listeners);
        self.note_own_ports(state);
        opened.iter().for_each(ListenerInfo::announce);
        state.listeners.close_removed(&closed);
        let mut report = services::retire_removed(&state.services, &services, &config, &self.metrics);
        restart_only::compare(&state.config, &config, &mut report);
        self.access_policy.replace(&config.admin);
        // A level that was set by the admin API stays unless the configuration has another one than before.
        if let Some(log) = self.log.get().filter(|_| state.config.log.level != config.log.level) {
            log.set(&config.log);
        }
        report.listeners = opened.iter().map(|info| format!("opened {}", info.address)).collect();
        report.listeners.extend(closed.iter().map(|listener| format!("closed {}", listener.info.address)));
        let problems = config.problems.iter();
        report.problems =
            problems.map(|problem| (problem.subject.to_string(), problem.to_string())).collect();
        self.certificates.send_replace(expiry::files(&config));
        state.services = services;
        state.config = config;
        report
    }
}
