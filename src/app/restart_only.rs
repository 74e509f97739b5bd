//! The settings that a reload applies besides services and listeners, and those that need a restart.

use crate::config::{Admin, Config};
use crate::reload::ReloadReport;

/// Adds the settings that differ to the report.
pub(super) fn compare(old: &Config, new: &Config, report: &mut ReloadReport) {
    report.settings =
        (&old.log.level, old.access_log, &old.browser_origins, &old.shutdown, &old.reload, &old.tracing)
            != (
                &new.log.level,
                new.access_log,
                &new.browser_origins,
                &new.shutdown,
                &new.reload,
                &new.tracing,
            )
            || (&old.callers, &old.roles, &old.audit) != (&new.callers, &new.roles, &new.audit)
            || old.admin != Admin { listen: old.admin.listen.clone(), ..new.admin.clone() };
    let restart_only = [
        ("admin.listen", old.admin.listen != new.admin.listen),
        // Only a folder that the process was allowed to write to at the start.
        ("admin.manage", new.admin.manage.is_some() && old.admin.manage != new.admin.manage),
        ("upgrade_sock", old.upgrade_sock != new.upgrade_sock),
        ("hardening", old.hardening != new.hardening),
        ("state", old.state != new.state),
        ("shared", old.shared != new.shared),
        ("threads", old.threads != new.threads),
        ("log.format", old.log.format != new.log.format),
    ];
    report.restart_required =
        restart_only.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect();
}
