//! The exceptions from the rules. The lists may get shorter, never longer; a test fails on an entry that is
//! no longer needed.

/// Files that may name pingora. None may be added.
pub const PINGORA: &[&str] = &["app/accept.rs"];

/// Modules that may read a secret: those that send it.
pub const EXPOSING: &[&str] = &["credential", "fleet", "oauth2"];

/// Files that may open files by themselves: the one that reads those of the configuration, for all others, and
/// those that write, and the one that asks the terminal who has it. None may be added that reads.
pub const OPENING: &[&str] = &[
    "cli/exec/supervise.rs",
    "logging/file.rs",
    "oauth2/refresh_tokens/state_file.rs",
    "secret/file.rs",
    "secret/write_file.rs",
];
