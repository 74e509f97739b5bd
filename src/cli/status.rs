//! `sidekey status`: the services of the running process and their state.

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use serde_json::Value;

use super::config_arg::{ConfigArg, no_service};
use super::exit::EXIT_USAGE;
use super::running::Running;

/// Time between two looks with `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);

/// Arguments of `sidekey status`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The service; all of them without it.
    service: Option<String>,
    /// Print the document of the admin API.
    #[arg(long)]
    json: bool,
    /// Print the state again every two seconds.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    config: ConfigArg,
}

/// Prints the state. Fails if a service is in error.
#[expect(clippy::print_stderr, reason = "an operator reads it")]
pub(super) fn status(args: &Args) -> ExitCode {
    let running = match Running::of(&args.config) {
        Ok(running) => running,
        Err(code) => return code,
    };
    if let Some(name) = &args.service
        && !running.services().any(|known| known == name)
    {
        eprintln!("{}", no_service(name, running.services()));
        return ExitCode::from(EXIT_USAGE);
    }
    loop {
        let shown = running.get(&path(args)).and_then(|document| show(args, &document));
        match shown {
            Err(message) => {
                eprintln!("{message}");
                if !args.watch {
                    return ExitCode::FAILURE;
                }
            }
            Ok(is_fine) if !args.watch => {
                return if is_fine { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            Ok(_) => {}
        }
        std::thread::sleep(INTERVAL);
    }
}

fn path(args: &Args) -> String {
    args.service.as_ref().map_or_else(|| "/api/v1/services".into(), |name| format!("/api/v1/services/{name}"))
}

/// Prints the document; returns whether no service is in error.
fn show(args: &Args, document: &Value) -> Result<bool, String> {
    let only = [document.clone()];
    let services = document["services"].as_array().map_or(&only[..], Vec::as_slice);
    let text = match (args.json, &args.service) {
        (true, _) => format!("{document:#}\n"),
        (false, None) => table(services) + &stale(document),
        (false, Some(_)) => details(document),
    };
    let mut out = io::stdout().lock();
    // The screen is cleared, so that the state stays in one place.
    let clear = if args.watch && out.is_terminal() { "\x1b[2J\x1b[H" } else { "" };
    write!(out, "{clear}{text}").map_err(|error| error.to_string())?;
    Ok(services.iter().all(|service| service["severity"] != "error"))
}

fn text<'v>(service: &'v Value, key: &str) -> &'v str {
    service[key].as_str().unwrap_or_default()
}

fn table(services: &[Value]) -> String {
    let head = ["SERVICE", "STATE", "WHAT"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(head)
        .chain(
            services
                .iter()
                .map(|service| ["name", "state", "summary"].map(|key| text(service, key).to_owned())),
        )
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    let lines = rows.iter().map(|[name, state, what]| format!("{name:<first$}  {state:<second$}  {what}"));
    lines.collect::<Vec<_>>().join("\n") + "\n"
}

/// The secrets that are in use although their sources fail.
fn stale(document: &Value) -> String {
    let stale = document["config"]["stale_secrets"].as_array().into_iter().flatten();
    let line = |secret: &Value| {
        let places = secret["used_by"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let places = places.collect::<Vec<_>>().join(", ");
        format!("stale secret: {places}, since {}: {}\n", text(secret, "since"), text(secret, "error"))
    };
    stale.map(line).collect()
}

fn details(service: &Value) -> String {
    let of_service = [
        ("service", "name"),
        ("state", "state"),
        ("credential", "kind"),
        ("upstream", "upstream"),
        ("what", "summary"),
    ];
    let of_token = [
        ("token from", "endpoint"),
        ("expires", "expires"),
        ("last refresh", "last_refresh"),
        ("next refresh", "next_refresh"),
        ("failing since", "failing_since"),
    ];
    let rows = of_service.map(|(name, key)| (name, &service[key])).into_iter();
    let rows = rows.chain(of_token.map(|(name, key)| (name, &service["token"][key])));
    let rows = rows.chain([("last error", &service["last_error"]["message"])]);
    let rows = rows.filter_map(|(name, value)| Some(format!("{name:<14}{}\n", value.as_str()?)));
    let suggestions = service["suggestions"].as_array().into_iter().flatten().filter_map(Value::as_str);
    rows.chain(suggestions.map(|suggestion| format!("  - {suggestion}\n"))).collect::<Vec<_>>().concat()
}
