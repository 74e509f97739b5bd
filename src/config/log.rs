//! `log`: the level and the format of logs.

use tracing_subscriber::EnvFilter;

use super::reader::suggest::did_you_mean;
use super::reader::table::{Format, Key, Keys};
use super::reader::value::Value;

/// The levels, from fewest to most events.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The keys of `log`.
pub(super) const KEYS: Keys = &[
    Key::optional(
        "level",
        Format::Text,
        "A level, or a filter in the syntax of RUST_LOG, which wins over it.",
    )
    .or("info"),
    Key::optional("format", Format::Words(&FORMATS), "Text on a terminal and JSON otherwise, or always one.")
        .or("auto"),
];

const FORMATS: [(&str, LogFormat); 3] =
    [("auto", LogFormat::Auto), ("text", LogFormat::Text), ("json", LogFormat::Json)];

/// `log`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A level, or a filter in the syntax of `RUST_LOG`. The environment variable wins.
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".into(), format: LogFormat::Auto }
    }
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Text, for people.
    Text,
    /// JSON, one object per line.
    Json,
}

pub(super) fn read(value: &Value<'_>) -> Log {
    let default = Log::default();
    let Some(mut mapping) = value.mapping() else { return default };
    let level = mapping.optional("level").and_then(|value| value.parse(level));
    let format = mapping.optional("format").and_then(|value| value.one_of(&FORMATS));
    mapping.reject_unknown_keys();
    Log { level: level.unwrap_or(default.level), format: format.unwrap_or(default.format) }
}

impl Log {
    /// Checks a level or filter by the rules of `log.level`.
    pub fn check_level(text: &str) -> Result<(), String> {
        level(text).map(drop)
    }
}

/// Checks a level (`info`) or a filter (`warn,sidekey=debug`). The filter's own parser accepts `inof` as the
/// name of a module and then logs nothing else.
fn level(text: &str) -> Result<String, String> {
    for directive in text.split(',') {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level).trim();
        if !LEVELS.iter().any(|known| known.eq_ignore_ascii_case(level)) {
            let question = did_you_mean(level, LEVELS);
            return Err(format!(
                "not a level{} Allowed: {}, or a filter such as `warn,sidekey=debug`",
                if question.is_empty() { "." } else { &question },
                LEVELS.join(", ")
            ));
        }
    }
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("not a valid filter; example: `warn,sidekey=debug`".into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn log_level_accepts_levels_and_filters() {
        for text in ["info", "WARN", "off", "warn,sidekey=debug", "warn,sidekey::token=trace"] {
            assert!(level(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn log_level_rejects_misspelled_levels() {
        assert!(level("inof").unwrap_err().contains("did you mean `info`?"));
        for text in ["", "info,", "sidekey=loud", "verbose"] {
            assert!(level(text).is_err(), "{text}");
        }
    }
}
