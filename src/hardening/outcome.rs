//! How far a restriction is in force.

/// What is said of a restriction that the kernel has put in place.
pub(super) const IN_FORCE: &str = "in force";

/// How far a restriction is in force, or why it is not.
pub(super) type Outcome = Result<&'static str, String>;

/// What the log has about it.
pub(super) fn text(outcome: &Outcome) -> String {
    match outcome {
        Ok(extent) => (*extent).into(),
        Err(reason) => format!("not in force: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_the_reason_why_something_is_not_in_force() {
        assert_eq!(text(&Ok(IN_FORCE)), "in force");
        assert_eq!(text(&Err("no such system call".into())), "not in force: no such system call");
    }
}
