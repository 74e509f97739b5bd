//! What a reload changes besides services and listeners, and what takes a new start.

use crate::config::{Admin, Config};
use crate::reload::Report;

/// Adds to the report what differs.
pub(super) fn compare(old: &Config, new: &Config, report: &mut Report) {
    report.settings = (&old.log.level, old.log.access, &old.shutdown, &old.reload, &old.tracing)
        != (&new.log.level, new.log.access, &new.shutdown, &new.reload, &new.tracing)
        || old.admin != Admin { listen: old.admin.listen.clone(), ..new.admin.clone() };
    let fixed = [
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("upgrade_sock", old.upgrade_sock != new.upgrade_sock),
        ("state", old.state != new.state),
        ("threads", old.threads != new.threads),
        ("log.format", old.log.format != new.log.format),
    ];
    report.at_next_start = fixed.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect();
}
