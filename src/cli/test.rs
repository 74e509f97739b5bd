//! `sidekey test`: tests whether a service works, and says what to change if it does not.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::config_arg::{ConfigArg, usable};
use super::exit::{EXIT_CONFIG, EXIT_USAGE};
use super::running_test::{RunningTest, admin_address, test_by_running_process};
use crate::app::test_standalone;
use crate::config::{Config, InactiveReason, InactiveService};
use crate::diagnose::{TestReport, TokenReport};
use crate::manage::testable;
use crate::secret::SecretCache;

/// How long to wait for a token: longer than the wait for the lock of a state file, and the default
/// `token_request.timeout` after it.
const TOKEN_LIMIT: Duration = Duration::from_secs(45);

/// Arguments of `sidekey test`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service, by its name in the configuration.
    #[arg(required_unless_present = "all")]
    service: Option<String>,
    /// The path to GET, appended to the path of `upstream`. A path that is known to work gives the clearest result. If `upstream` is a
    /// wildcard, the whole URL of one of its hosts.
    #[arg(default_value = "/")]
    path: String,
    /// Print a JSON object instead of text; with `--all` an array of them.
    #[arg(long)]
    json: bool,
    /// Test every service, with the path `/`, one after the other.
    #[arg(long, conflicts_with_all = ["service", "path"])]
    all: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Obtains the credential, calls the upstream once, and prints the report.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn test(args: &Args) -> ExitCode {
    let config = match usable(&args.config.config, &SecretCache::default()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let names = args.service.as_ref().map_or_else(|| all(&config), |name| vec![name.as_str()]);
    let mut reports = Vec::new();
    let mut is_complete = true;
    for name in names {
        match test_one(args, &config, name) {
            Ok(report) => reports.push(report),
            // The other services can be tested.
            Err(NotTested { message, .. }) if args.all => {
                eprintln!("{message}");
                is_complete = false;
            }
            Err(NotTested { message, code }) => {
                eprintln!("{message}");
                return code;
            }
        }
    }
    if args.json {
        let json = if args.all {
            serde_json::to_string_pretty(&reports)
        } else {
            serde_json::to_string_pretty(&reports[0])
        };
        println!("{}", json.expect("a report is text and numbers"));
    }
    if is_complete && reports.iter().all(|report| report.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Every service that is enabled.
fn all(config: &Config) -> Vec<&str> {
    let is_enabled = |service: &&InactiveService| service.reason != InactiveReason::Disabled;
    let inactive = config.inactive.iter().filter(is_enabled).map(|service| service.name.as_str());
    config.services.iter().map(|service| service.name.as_str()).chain(inactive).collect()
}

/// Why a service was not tested.
struct NotTested {
    message: String,
    code: ExitCode,
}

/// Tests one service, and prints the report if it is wanted as text.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
fn test_one(args: &Args, config: &Config, name: &str) -> Result<TestReport, NotTested> {
    if let Some(message) = config.why_inactive(name) {
        return Err(NotTested { message, code: ExitCode::from(EXIT_CONFIG) });
    }
    let service = testable(name, &args.path, config, &args.config.config)
        .map_err(|message| NotTested { message, code: ExitCode::from(EXIT_USAGE) })?;
    let address = admin_address(config);
    let (report, is_by_running) = match test_by_running_process(config, service, &args.path) {
        RunningTest::Made(report) => (*report, true),
        not_made => {
            if let RunningTest::Declined(why) = not_made {
                eprintln!(
                    "the Sidekey that runs at {address} did not make the test: {why}. It is made here."
                );
            }
            let report = report(name, &args.path, config);
            let not_built =
                |error| NotTested { message: format!("cannot start: {error:#}"), code: ExitCode::FAILURE };
            (report.map_err(not_built)?, false)
        }
    };
    if !args.json {
        if is_by_running {
            println!("tested by   the Sidekey that runs at {address}, with its own token");
        }
        print!("{}", text(&report));
        if args.all {
            println!();
        }
    }
    Ok(report)
}

/// Tests one service in this process.
pub(super) fn report(name: &str, path: &str, config: &Config) -> anyhow::Result<TestReport> {
    test_standalone(config, name, path, TOKEN_LIMIT)
}

/// The report as text: what was done, then what it means.
pub(super) fn text(report: &TestReport) -> String {
    let mut rows = vec![("service", report.service.clone()), ("credential", report.credential.clone())];
    if let Some(token) = &report.token {
        rows.push(("token", describe(token)));
        for (name, value) in token.claims.iter().flatten() {
            rows.push(("", format!("{name}: {}", claim(name, value))));
        }
    }
    rows.push(("request", format!("{} {}", report.method, report.url)));
    if let (Some(status), Some(milliseconds)) = (report.status, report.duration_ms) {
        let reason = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        rows.push(("answer", format!("{status} {} after {milliseconds} ms", reason.unwrap_or_default())));
    }
    if !report.challenges.is_empty() {
        rows.push(("it asks for", report.challenges.join(" ")));
    }
    let mut out = String::new();
    for (name, value) in rows {
        let _ = writeln!(out, "{name:<12}{value}");
    }
    let _ = writeln!(out, "\n{}", report.summary);
    for line in &report.suggestions {
        let _ = writeln!(out, "  - {line}");
    }
    out
}

fn describe(token: &TokenReport) -> String {
    let TokenReport { kind, expires_in_seconds, lifetime_seconds, scope, .. } = token;
    let scope = scope.as_ref().map_or_else(String::new, |scope| format!(", scope {scope}"));
    let opaque = if token.claims.is_some() { ", a JWT (not verified here):" } else { "" };
    format!("{kind}, {expires_in_seconds} s left of {lifetime_seconds}{scope}{opaque}")
}

/// The value of a claim; a point in time is followed by a readable form.
fn claim(name: &str, value: &Value) -> String {
    let time = value.as_u64().filter(|_| matches!(name, "exp" | "iat" | "nbf"));
    let time = time.and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    // A year of five digits has no place in the format.
    let time = time.filter(|time| {
        time.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|d| d.as_secs() < 253_402_300_800)
    });
    match (value, time) {
        (_, Some(time)) => format!("{value} ({})", httpdate::fmt_http_date(time)),
        (Value::String(text), None) => text.clone(),
        (other, None) => other.to_string(),
    }
}
