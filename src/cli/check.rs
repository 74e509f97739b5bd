//! `sidekey check`: everything that can be said of a configuration without asking the network.

use std::path::Path;
use std::process::ExitCode;

use super::load;
use crate::config::{Config, Service};
use crate::secret::Commands;

/// Prints the services as a table, and warnings; fails on any mistake.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what the command is for")]
pub(super) fn check(path: &Path) -> ExitCode {
    let config = match load(path, &Commands::default()) {
        Ok(config) => config,
        Err(code) => return code,
    };
    print!("{}", table(&config));
    for warning in &config.warnings {
        eprintln!("warning: {}:{}: {}: {}", path.display(), warning.line, warning.path, warning.message);
    }
    let count = config.services.len();
    println!("\n{}: {count} {}, no mistake", path.display(), if count == 1 { "service" } else { "services" });
    ExitCode::SUCCESS
}

fn table(config: &Config) -> String {
    let rows = config.services.iter().map(|service| {
        [service.name.clone(), service.auth.kind().into(), ways_in(config, service), upstreams(service)]
    });
    let rows: Vec<_> =
        std::iter::once(["SERVICE", "KIND", "CALL", "UPSTREAM"].map(String::from)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2)];
    let line = |row: &[String; 4]| {
        let [name, kind, call, upstream] = row;
        format!("{name:<0$}  {kind:<1$}  {call:<2$}  {upstream}\n", widths[0], widths[1], widths[2])
    };
    rows.iter().map(line).collect()
}

/// Every URL.
fn upstreams(service: &Service) -> String {
    service.upstreams().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// How a caller reaches a service.
fn ways_in(config: &Config, service: &Service) -> String {
    let prefixed = config.listen.iter().map(|listen| format!("{listen}/{}", service.name));
    let hosts = service.hosts.iter().map(|host| format!("Host: {host}"));
    let own = service.listen.iter().map(ToString::to_string);
    prefixed.chain(hosts).chain(own).collect::<Vec<_>>().join(", ")
}
