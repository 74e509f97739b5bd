//! The log of what is allowed in the configuration but not recommended.

use crate::config::Warning;

/// Logs each warning that was not there before.
pub fn log_warnings(warnings: &[Warning], before: &[Warning]) {
    let is_known = |warning: &Warning| {
        let same = |known: &Warning| {
            (&known.file, &known.path, &known.message) == (&warning.file, &warning.path, &warning.message)
        };
        before.iter().any(same)
    };
    for warning in warnings.iter().filter(|warning| !is_known(warning)) {
        tracing::warn!(
            config.file = warning.file,
            config.path = warning.path,
            config.line = warning.line,
            "configuration warning: {}",
            warning.message
        );
    }
}
