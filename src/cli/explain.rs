//! `sidekey explain`: whether the roles of a caller and the rules of a service allow a request, and which rule decides.

use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use super::config_arg::{ConfigArg, not_running, usable};
use super::exit::EXIT_USAGE;
use crate::callers::{CallerCounts, CallerId, CallerPolicy, NotPermitted, Permission};
use crate::config::{ANONYMOUS, Config, ServiceConfig};
use crate::proto::method::returns_request;
use crate::rules::{Decision, Denial, RequestView, Rule, path_at_upstream};
use crate::runtime::base_path::escapes_base_path;
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
    /// The caller, by its name in `callers`. Without it, one that is not known.
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
}

/// Prints the decision. The exit code is 0 if the request is allowed, and 1 if it is denied.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn explain(args: &Args) -> ExitCode {
    let path: &Path = &args.config.config;
    let config = match usable(path, &SecretCache::default()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    let Some(service) = config.services.iter().find(|service| service.name == args.service) else {
        let (message, code) = not_running(&config, &args.service);
        eprintln!("{message}");
        return ExitCode::from(code);
    };
    let policy = CallerPolicy::new(&config, None, &CallerCounts::default(), &HashMap::new());
    let caller = match caller(&config, policy.as_deref(), args.caller.as_deref()) {
        Ok(caller) => caller,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    let mut is_allowed = true;
    for upstream in service.upstreams() {
        let (target, said, allowed) = decide(&config, service, &upstream.base_path, caller.as_ref(), args);
        let scheme = if upstream.tls { "https" } else { "http" };
        println!("{} {scheme}://{}{target}: {said}", args.method, upstream.authority());
        is_allowed &= allowed;
    }
    if is_allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The callers of a configuration, and one of them; `None` is one that is not known.
type Caller<'c> = (&'c CallerPolicy, Option<CallerId>);

fn caller<'p>(
    config: &Config,
    policy: Option<&'p CallerPolicy>,
    name: Option<&str>,
) -> Result<Option<Caller<'p>>, String> {
    match (policy, name.filter(|name| *name != ANONYMOUS)) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err("the configuration has no `callers`".into()),
        (Some(policy), None) => Ok(Some((policy, None))),
        (Some(policy), Some(name)) => {
            let caller = policy.named(name).ok_or_else(|| {
                let names: Vec<_> = config.callers.iter().map(|caller| caller.name.as_str()).collect();
                format!("no caller `{name}`; the configuration has: {}", names.join(", "))
            })?;
            Ok(Some((policy, Some(caller))))
        }
    }
}

/// Whether every listener that leads to a service requires a known caller.
fn requires_caller(config: &Config, service: &ServiceConfig) -> bool {
    config.listen.iter().chain(&service.listen).all(|listener| listener.requires_caller)
}

/// The path as the upstream would get it, what is decided about it, and whether it is allowed.
fn decide(
    config: &Config,
    service: &ServiceConfig,
    base_path: &str,
    caller: Option<&Caller<'_>>,
    args: &Args,
) -> (String, String, bool) {
    let file: &Path = &args.config.config;
    let (path, query) =
        args.path.split_once('?').map_or((args.path.as_str(), None), |(path, query)| (path, Some(query)));
    let refused = never_forwarded(&args.method, base_path, path);
    let path = path_at_upstream(base_path, path);
    if let Some(why) = refused {
        let shown = if path.starts_with('/') { path.into_owned() } else { String::new() };
        return (shown, format!("denied, whatever the rules are: {why}"), false);
    }
    let is_websocket = args.method == "WEBSOCKET";
    let view = || RequestView {
        method: if is_websocket { "GET" } else { &args.method },
        is_websocket,
        path: &path,
        query,
        destination: None,
        field_names: std::iter::empty(),
    };
    let index = config.services.iter().position(|other| other.name == service.name).unwrap_or_default();
    let permitted = caller.map(|(policy, caller)| {
        policy.permit(index, *caller, requires_caller(config, service), |rules| rules.decide(view()))
    });
    let role = match permitted {
        None => String::new(),
        Some(Err(not_permitted)) => {
            let said = not_permitted_said(&not_permitted, file);
            return (path.clone().into_owned(), said, false);
        }
        Some(Ok(permission)) => permission_said(&permission, file),
    };
    let decision = service.rules.as_ref().map_or(Decision::Allowed(None), |rules| rules.decide(view()));
    let said = said(&decision) + &role;
    let is_allowed = matches!(decision, Decision::Allowed(_));
    (path.clone().into_owned(), said, is_allowed)
}

/// Why a request of this method and path is forwarded by no service, if it is so.
fn never_forwarded(method: &str, base_path: &str, path: &str) -> Option<&'static str> {
    if returns_request(method) {
        return Some("TRACE would send the credential back");
    }
    let is_path = path.is_empty() || path.starts_with('/') || (path == "*" && method == "OPTIONS");
    if !is_path || path.contains('#') {
        return Some("it is not a path below the service");
    }
    (!base_path.is_empty() && escapes_base_path(path)).then_some("the path leaves the upstream's base path")
}

fn permission_said(permission: &Permission<'_>, file: &Path) -> String {
    let Some((name, line)) = permission.role else { return "; no role is needed".into() };
    let rule = permission
        .rule
        .map_or_else(String::new, |rule| format!(" by `allow`: {} ({})", rule.text(), at(rule)));
    format!("; role {name} ({}:{line}) allows it{rule}", file.display())
}

fn not_permitted_said(why: &NotPermitted<'_>, file: &Path) -> String {
    match (why.role, &why.denial) {
        (Some((name, line)), Some(denial)) => {
            let rule = match denial {
                Denial::Rule(rule) => format!(" ({})", at(rule)),
                _ => String::new(),
            };
            format!("denied by role {name} ({}:{line}): {denial}{rule}", file.display())
        }
        _ => format!("denied: {}", why.refusal),
    }
}

fn said(decision: &Decision<'_>) -> String {
    match decision {
        Decision::Allowed(None) => "allowed: no rule is against it".into(),
        Decision::Allowed(Some(rule)) => format!("allowed by `allow`: {} ({})", rule.text(), at(rule)),
        Decision::Denied(Denial::Rule(rule)) => {
            format!("denied by `deny`: {} ({})", rule.text(), at(rule))
        }
        Decision::Denied(denial) => format!("denied: {denial}"),
    }
}

fn at(rule: &Rule) -> String {
    format!("{}:{}", rule.file(), rule.line())
}
