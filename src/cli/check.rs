//! `sidekey check`: checks a configuration without the network. With `--online`, also checks whether the servers that it names can
//! be reached.

use std::path::Path;
use std::process::ExitCode;

use super::config_arg::{ConfigArg, load};
use crate::app;
use crate::config::{Config, ServiceConfig};
use crate::diagnose;
use crate::diagnose::ProbeResult;
use crate::rules::Rule;
use crate::secret::SecretCache;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Also connect to every upstream and token endpoint (DNS, TCP, TLS). No request and no credential is sent.
    #[arg(long)]
    online: bool,
}

/// Prints the services as a table, and warnings. Fails if the configuration has an error.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn check(args: &Args) -> ExitCode {
    let path: &Path = &args.config.config;
    let config = match load(path, &SecretCache::default()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    print!("{}", table(&config));
    for warning in &config.warnings {
        eprintln!("warning: {}:{}: {}: {}", path.display(), warning.line, warning.path, warning.message);
    }
    let count = config.services.len();
    println!("\n{}: {count} {}, no error", path.display(), if count == 1 { "service" } else { "services" });
    if !args.online {
        return ExitCode::SUCCESS;
    }
    match probe(&config) {
        Ok(results) => {
            let failed = results.iter().filter(|server| server.problem.is_some()).count();
            print!("\n{}", probe_table(&results));
            if failed == 0 {
                return ExitCode::SUCCESS;
            }
            eprintln!("\n{failed} of {} cannot be reached", results.len());
        }
        Err(error) => eprintln!("cannot check online: {error:#}"),
    }
    ExitCode::FAILURE
}

fn probe(config: &Config) -> anyhow::Result<Vec<ProbeResult>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async { Ok(diagnose::probe_all(app::probe_targets(config)?).await) })
}

/// A table with one row for each server.
fn probe_table(results: &[ProbeResult]) -> String {
    let rows = results.iter().map(|server| {
        let outcome = server.problem.as_ref().map_or("OK".into(), |problem| format!("FAILED: {problem}"));
        [server.service.clone(), server.role.as_str().into(), server.host.clone(), outcome]
    });
    aligned(["SERVICE", "SERVER", "HOST", "RESULT"], rows)
}

fn table(config: &Config) -> String {
    let rows = config.services.iter().map(|service| {
        let kind = service.auth.kind().to_owned();
        [service.name.clone(), kind, ways_in(config, service), requests(service), upstreams(service)]
    });
    aligned(["SERVICE", "KIND", "CALL", "REQUESTS", "UPSTREAM"], rows)
}

/// Rows in columns of equal width, the last one as it is.
fn aligned<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<_> = std::iter::once(head.map(String::from)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..N).map(|column| if column + 1 == N { 0 } else { width(column) }).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ") + "\n"
    };
    rows.iter().map(line).collect()
}

/// Which requests the service accepts.
fn requests(service: &ServiceConfig) -> String {
    match &service.rules {
        None => "all".into(),
        Some(rules) => {
            let count = |rules: &[Rule], key: &str| match rules.len() {
                0 => None,
                count => Some(format!("{count} {key}")),
            };
            let both = [count(rules.allow(), "allow"), count(rules.deny(), "deny")];
            both.into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
    }
}

/// All upstream URLs of a service.
fn upstreams(service: &ServiceConfig) -> String {
    service.upstreams().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The ways in which a caller can address a service.
fn ways_in(config: &Config, service: &ServiceConfig) -> String {
    let prefixed = config.listen.iter().map(|listen| format!("{listen}/{}", service.name));
    let hosts = service.hosts.iter().map(|host| format!("Host: {host}"));
    let own = service.listen.iter().map(ToString::to_string);
    prefixed.chain(hosts).chain(own).collect::<Vec<_>>().join(", ")
}
