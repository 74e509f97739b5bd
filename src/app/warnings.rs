//! The log of what is allowed in the configuration but not recommended.

use std::collections::HashSet;

use crate::config::Warning;

/// Logs each warning that was not there before.
pub fn log_warnings(warnings: &[Warning], before: &[Warning]) {
    // Without the line, which another change of the file may move.
    let text = |warning: &Warning| (warning.file.clone(), warning.path.clone(), warning.message.clone());
    let known: HashSet<_> = before.iter().map(text).collect();
    for warning in warnings.iter().filter(|warning| !known.contains(&text(warning))) {
        tracing::warn!(
            config.file = warning.file,
            config.path = warning.path,
            config.line = warning.line,
            "configuration warning: {}",
            warning.message
        );
    }
}
