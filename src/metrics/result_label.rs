//! The values of a label `result`.

/// The value for an outcome.
pub(super) fn result(success: bool) -> &'static str {
    if success { "success" } else { "failure" }
}
