//! `labels`: what a service is labelled with in `sidekey_service_info`, so that alerts find its team.

use std::collections::BTreeMap;

use crate::config::reader::table::{Format, Names};
use crate::config::reader::value::Value;

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

/// Largest number of labels of one service.
const MAX_LABELS: usize = 16;
/// Longest name and longest value, in characters.
const MAX_LENGTH: usize = 128;

/// Names that have a meaning already: those of the metric itself, those that Prometheus adds to a target, those of alerts and of
/// histograms.
const RESERVED: [&str; 9] =
    ["service", "kind", "state", "job", "instance", "alertname", "severity", "le", "quantile"];

/// The format of `labels`.
pub(super) const LABELS: Format = Format::Names(&Names {
    pattern: Some("^[A-Za-z_][A-Za-z0-9_]{0,127}$"),
    max: Some(MAX_LABELS),
    ..Names::of(Format::Text)
});

/// Reads labels. Values are shown in metrics.
pub(super) fn read(value: &Value<'_>) -> Labels {
    let entries = value.entries().unwrap_or_default();
    if entries.len() > MAX_LABELS {
        value.error(format!("a service has at most {MAX_LABELS} labels"));
    }
    let mut labels = Labels::new();
    for (name, value) in entries {
        if let Err(message) = check_name(name) {
            value.error(message);
            continue;
        }
        if let Some(text) = value.parse(|text| check_value(text).map(|()| text.to_owned())) {
            labels.insert(name.to_owned(), text);
        }
    }
    labels
}

fn check_name(name: &str) -> Result<(), String> {
    let is_name = name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.len() <= MAX_LENGTH;
    if !is_name {
        return Err(format!(
            "the name of a label has letters, digits and `_`, does not start with a digit, and has at most {MAX_LENGTH} characters"
        ));
    }
    if name.starts_with("__") || RESERVED.contains(&name) {
        return Err(format!(
            "this name is reserved; so are {} and names that start with `__`",
            RESERVED.join(", ")
        ));
    }
    Ok(())
}

fn check_value(text: &str) -> Result<(), String> {
    if text.chars().count() > MAX_LENGTH {
        return Err(format!("longer than {MAX_LENGTH} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("a control character is not allowed in a label".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_are_those_of_prometheus_and_not_reserved() {
        for name in ["team", "_x", "A9", "cost_center"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "9a", "a-b", "a.b", "é", "__name__", "service", "job", "x".repeat(129).as_str()] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn label_values_are_bounded() {
        assert_eq!(check_value(""), Ok(()));
        assert!(check_value(&"x".repeat(129)).is_err() && check_value("a\nb").is_err());
    }
}
