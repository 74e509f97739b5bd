//! Environment variables of OpenTelemetry, which replace missing keys of `tracing`.

use std::time::Duration;

use http::HeaderName;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::config::reader::header as header_reader;
use crate::config::reader::interpolate;
use crate::config::reader::value::Value;
use crate::secret::{Secret, SecretText};

/// Longest value of `OTEL_BSP_SCHEDULE_DELAY`, in milliseconds.
const MAX_EXPORT_INTERVAL_MS: u64 = 3_600_000;

/// An environment variable that is set and not empty.
pub(super) struct Variable<'i, 'a> {
    section: &'i Value<'a>,
    name: String,
    value: String,
}

/// The variable of this name, if it is set.
pub(super) fn variable<'i, 'a>(section: &'i Value<'a>, name: &str) -> Option<Variable<'i, 'a>> {
    let value = section.environment()(name)?.into_string().ok()?;
    let value = value.trim().to_owned();
    // The specification treats an empty variable as unset.
    (!value.is_empty()).then(|| Variable { section, name: name.to_owned(), value })
}

/// The first of these variables that is set.
pub(super) fn first<'i, 'a>(section: &'i Value<'a>, names: &[&str]) -> Option<Variable<'i, 'a>> {
    names.iter().find_map(|name| variable(section, name))
}

impl Variable<'_, '_> {
    /// Parses the value. An error names the variable and does not repeat its value.
    pub(super) fn read<T>(self, read: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let report =
            |message| self.section.error(format!("{}: {message}", interpolate::variable(&self.name)));
        read(&self.value).map_err(report).ok()
    }
}

/// Parses `name=value,…` of OTEL_EXPORTER_OTLP_HEADERS. No message repeats any of it.
pub(super) fn header_list(text: &str, reserved: &[HeaderName]) -> Result<Vec<(HeaderName, Secret)>, String> {
    let read = |(name, value): (String, String)| {
        let text = SecretText::verbatim(Zeroizing::new(value));
        let value = text.into_secret().map_err(|error| error.to_string())?;
        header_reader::value(&value)?;
        Ok((header_reader::name(&name, reserved)?, value))
    };
    pairs(text)?.into_iter().map(read).collect()
}

/// Parses `key=value,…` with percent-encoded values, as in W3C Baggage.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').filter(|(key, _)| !key.trim().is_empty())?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        Some((key.trim().to_owned(), value.into_owned()))
    };
    let written = text.split(',').filter(|pair| !pair.trim().is_empty());
    let read = |text| pair(text).ok_or_else(|| "not a list of the form `key=value,key=value`".to_owned());
    written.map(read).collect()
}

/// Parses a number from 0 to 1.
pub(super) fn fraction(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..=1.0).contains(number));
    number.ok_or_else(|| "not a number from 0 to 1".into())
}

/// Parses a number of milliseconds without a unit, as OpenTelemetry's variables have it.
pub(super) fn milliseconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().filter(|number| (1..=MAX_EXPORT_INTERVAL_MS).contains(number));
    number.map(Duration::from_millis).ok_or_else(|| "not a number of milliseconds from 1 to 3600000".into())
}
