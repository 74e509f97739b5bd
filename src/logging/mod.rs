//! Logs: set up once, before anything else runs.
//!
//! Only Sidekey's own events are ever printed, whatever `RUST_LOG` says. HTTP and TLS libraries write requests,
//! headers and parse buffers into their trace lines; a proxy of credentials must not pass these on. What an operator
//! needs of the accept loop's own log, its errors, is picked out in `accept_errors`.

mod accept_errors;

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use tracing::Metadata;
use tracing_subscriber::filter::{EnvFilter, FilterFn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, reload};

use crate::config::{Log, LogFormat};

pub use accept_errors::{AcceptLog, accept_failures};

/// The filter in use. Global because the logger of a process is.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts logging to standard error. `RUST_LOG`, where it is set, filled and valid, wins over `log.level`.
pub fn init(log: &Log, accept_log: AcceptLog) -> Result<LogControl, TryInitError> {
    // An empty variable is how a compose file passes on one that is not set; it would mean errors alone.
    let asked = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|filter| !filter.trim().is_empty());
    let asked = asked.and_then(|filter| EnvFilter::try_new(filter).ok());
    let is_fixed = asked.is_some();
    let (filter, handle) = reload::Layer::new(asked.unwrap_or_else(|| configured(log)));
    let json = match log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !io::stderr().is_terminal(),
    };
    let base = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let layer = if json {
        base.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed()
    } else {
        base.with_ansi(io::stderr().is_terminal()).with_target(false).boxed()
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(FilterFn::new(is_own)).with_filter(filter))
        .try_init()?;
    let _ = FILTER.set(handle.clone());
    accept_errors::init(accept_log);
    Ok(LogControl { filter: (!is_fixed).then_some(handle) })
}

fn configured(log: &Log) -> EnvFilter {
    EnvFilter::try_new(&log.level).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Changes the level of the log while the program runs.
pub struct LogControl {
    /// `None` where `RUST_LOG` has the say.
    filter: Option<reload::Handle<EnvFilter, Registry>>,
}

impl LogControl {
    /// The level of these settings from now on.
    pub fn set(&self, log: &Log) {
        if let Some(filter) = &self.filter {
            // Fails only where the subscriber is gone, and with it the log.
            let _ = filter.reload(configured(log));
        }
    }
}

/// The level or filter in use; `None` where logging was never started.
pub fn level() -> Option<String> {
    FILTER.get()?.with_current(ToString::to_string).ok()
}

/// Logs by this level or filter from now on; on an error the one in use stays.
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
