//! The tables of services and of servers.

use crate::config::{Config, ServiceConfig};
use crate::diagnose::ProbeResult;
use crate::rules::Rule;

/// A table with one row for each server.
pub(super) fn of_servers(results: &[ProbeResult]) -> String {
    let rows = results.iter().map(|server| {
        let outcome = match (&server.problem, &server.certificate) {
            (Some(problem), _) => format!("FAILED: {problem}"),
            (None, None) if !server.is_probed => {
                format!("not probed: {}", server.note.as_deref().unwrap_or_default())
            }
            (None, None) => {
                server.note.as_ref().map_or_else(|| "OK".into(), |note| format!("OK, but: {note}"))
            }
            (None, Some(certificate)) => match &certificate.warning {
                Some(warning) => format!("OK, but: {warning}"),
                None => format!("OK, certificate until {}", certificate.end),
            },
        };
        [server.service.clone(), server.role.as_str().into(), server.host.clone(), outcome]
    });
    aligned(["SERVICE", "SERVER", "HOST", "RESULT"], rows)
}

/// A table with one row for each service.
pub(super) fn of_services(config: &Config) -> String {
    let rows = config.services.iter().map(|service| {
        let kind = service.auth.kinds();
        [
            service.name.clone(),
            kind,
            ways_in(config, service).join(", "),
            requests(service),
            upstreams(service).join(", "),
        ]
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
pub(super) fn requests(service: &ServiceConfig) -> String {
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
pub(super) fn upstreams(service: &ServiceConfig) -> Vec<String> {
    service.upstreams().map(ToString::to_string).collect()
}

/// The ways in which a caller can address a service.
pub(super) fn ways_in(config: &Config, service: &ServiceConfig) -> Vec<String> {
    let prefixed = config.listen.iter().map(|listen| format!("{listen}/{}", service.name));
    let hosts = service.hosts.iter().map(|host| format!("Host: {host}"));
    let own = service.listen.iter().map(ToString::to_string);
    prefixed.chain(hosts).chain(own).collect()
}
