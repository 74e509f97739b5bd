//! `sidekey explain`: whether the rules of a service allow a request, and which rule decides.

use std::path::Path;
use std::process::ExitCode;

use super::config_arg::{ConfigArg, load, no_service};
use super::exit::EXIT_USAGE;
use crate::config::ServiceConfig;
use crate::rules::{Decision, Denial, RequestView, path_at_upstream};
use crate::secret::SecretCache;

/// Arguments of `sidekey explain`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// The service.
    service: String,
    /// The method, such as GET; WEBSOCKET is the opening of a WebSocket.
    method: String,
    /// The path below the service, with or without a query, as a caller sends it.
    path: String,
}

/// Prints the decision. The exit code is 0 if the request is allowed, and 1 if it is denied.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn explain(args: &Args) -> ExitCode {
    let path: &Path = &args.config.config;
    let config = match load(path, &SecretCache::default()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let Some(service) = config.services.iter().find(|service| service.name == args.service) else {
        let names = config.services.iter().map(|service| service.name.as_str());
        eprintln!("{}", no_service(&args.service, names));
        return ExitCode::from(EXIT_USAGE);
    };
    let mut is_allowed = true;
    for upstream in service.upstreams() {
        let (target, decision) = decide(service, &upstream.base_path, args);
        let scheme = if upstream.tls { "https" } else { "http" };
        let said = said(&decision, path);
        println!("{} {scheme}://{}{target}: {said}", args.method, upstream.authority());
        is_allowed &= matches!(decision, Decision::Allowed(_));
    }
    if is_allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The path as the upstream would get it, and the decision about it.
fn decide<'s>(service: &'s ServiceConfig, base_path: &str, args: &Args) -> (String, Decision<'s>) {
    let (path, query) =
        args.path.split_once('?').map_or((args.path.as_str(), None), |(path, query)| (path, Some(query)));
    let path = path_at_upstream(base_path, path);
    let is_websocket = args.method == "WEBSOCKET";
    let view = RequestView {
        method: if is_websocket { "GET" } else { &args.method },
        is_websocket,
        path: &path,
        query,
        destination: None,
        field_names: std::iter::empty(),
    };
    let decision = service.rules.as_ref().map_or(Decision::Allowed(None), |rules| rules.decide(view));
    (path.into_owned(), decision)
}

fn said(decision: &Decision<'_>, file: &Path) -> String {
    let at = |line: usize| format!("{}:{line}", file.display());
    match decision {
        Decision::Allowed(None) => "allowed: no rule is against it".into(),
        Decision::Allowed(Some(rule)) => format!("allowed by `allow`: {} ({})", rule.text(), at(rule.line())),
        Decision::Denied(Denial::Rule(rule)) => {
            format!("denied by `deny`: {} ({})", rule.text(), at(rule.line()))
        }
        Decision::Denied(denial) => format!("denied: {denial}"),
    }
}
