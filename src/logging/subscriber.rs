//! Format and filter of the log.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, OnceLock};

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, reload};

use super::accept_errors;
use super::accept_errors::AcceptLog;
use super::file::LogFile;
use crate::config::{Log, LogFormat};

/// The filter in use. Global because the logger of a process is.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging to standard error. `RUST_LOG` wins over `log.level` if it is set, not empty and valid.
pub fn init(log: &Log, accept_log: AcceptLog) -> Result<LogControl, TryInitError> {
    // A compose file passes on a variable that is not set as an empty one, which would mean errors only.
    let requested = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.trim().is_empty());
    let requested = requested.and_then(|filter| EnvFilter::try_new(filter).ok());
    start(log, requested, accept_log, None)
}

/// Starts logging to a file, or to standard error without one. `RUST_LOG` has no meaning: it is for the command that runs.
pub fn init_in(log: &Log, accept_log: AcceptLog, file: Option<LogFile>) -> Result<LogControl, TryInitError> {
    start(log, None, accept_log, file)
}

fn start(
    log: &Log,
    requested: Option<EnvFilter>,
    accept_log: AcceptLog,
    file: Option<LogFile>,
) -> Result<LogControl, TryInitError> {
    let is_terminal = file.is_none() && io::stderr().is_terminal();
    let is_fixed = requested.is_some();
    let (filter, handle) = reload::Layer::new(requested.unwrap_or_else(|| configured(log)));
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !is_terminal,
    };
    let writer = match file {
        Some(LogFile(file)) => BoxMakeWriter::new(Mutex::new(file)),
        None => BoxMakeWriter::new(io::stderr),
    };
    let base = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = if json {
        base.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        let [term, no_color] = ["TERM", "NO_COLOR"].map(std::env::var_os);
        let has_color = has_color(is_terminal, term.as_deref(), no_color.as_deref());
        base.with_ansi(has_color).with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(FilterFn::new(is_own)).with_filter(filter))
        .try_init()?;
    let _ = FILTER.set(handle.clone());
    accept_errors::init(accept_log);
    Ok(LogControl { filter: (!is_fixed).then_some(handle) })
}

/// Whether the log has colours: on a terminal that has them, unless `NO_COLOR` is set and not empty (no-color.org).
fn has_color(is_terminal: bool, term: Option<&OsStr>, no_color: Option<&OsStr>) -> bool {
    is_terminal && term != Some(OsStr::new("dumb")) && no_color.is_none_or(OsStr::is_empty)
}

fn configured(log: &Log) -> EnvFilter {
    EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Changes the level of the log while the program runs.
pub struct LogControl {
    /// `None` if `RUST_LOG` decides.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
}

impl LogControl {
    /// Applies the level of these settings.
    pub fn set(&self, log: &Log) {
        if let Some(filter) = &self.filter {
            // Fails only if the subscriber is gone, and with it the log.
            let _ = filter.reload(configured(log));
        }
    }
}

/// The level or filter in use; `None` if logging was never started.
pub fn level() -> Option<String> {
    FILTER.get()?.with_current(ToString::to_string).ok()
}

/// Replaces the level or filter; on an error the one in use stays.
pub fn set_level(level: &str) -> Result<(), String> {
    Log::check_level(level)?;
    let filter = EnvFilter::try_new(level).map_err(|_| "not a filter".to_owned())?;
    let handle = FILTER.get().ok_or("logging was not started by Sidekey")?;
    handle.reload(filter).map_err(|_| "the filter in use cannot be replaced".to_owned())
}

/// Whether an event comes from Sidekey's own code.
fn is_own(metadata: &Metadata<'_>) -> bool {
    let target = metadata.target();
    target == "sidekey" || target.starts_with("sidekey::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_has_colors_on_a_terminal_without_no_color() {
        let text = |text| Some(OsStr::new(text));
        assert!(has_color(true, None, None) && has_color(true, text("xterm"), text("")));
        assert!(!has_color(true, None, text("1")) && !has_color(true, None, text("0")));
        assert!(!has_color(false, None, None) && !has_color(true, text("dumb"), None));
    }
}
