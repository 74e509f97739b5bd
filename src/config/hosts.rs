//! Finds the hosts of a configuration's services without validating the configuration: `sidekey ca init`
//! needs them before the files exist that the configuration names.

use std::path::Path;

use super::host::Host;
use super::http_url::UrlPolicy;
use super::model::Config;
use super::reader::document;
use super::reader::error::ConfigError;
use super::reader::report::Report;
use super::reader::table::{Format, Key};
use super::reader::value::Value;
use super::service::entry::SERVICES;
use super::service::upstream_url;
use super::source;
use super::wildcard;
use crate::secret::SecretCache;

/// The format of the file, as far as it is read here.
const FILE: Format = Format::Keys(&[&[Key::depends("services", SERVICES, "Every service by its name.")]]);

impl Config {
    /// Every host that callers may use for a service in a URL. Fails if the file cannot be read or is not
    /// valid YAML.
    pub fn hosts(path: &Path) -> Result<Vec<Host>, ConfigError> {
        let text = document::read_file(path)?;
        let name = path.display().to_string();
        let environment = |name: &str| std::env::var_os(name);
        let secrets = SecretCache::default();
        let report = Report::new(&environment, &secrets);
        let file = report.add_file(&name);
        let mut root = document::parse(&text, file, &name)
            .map_err(|diagnostics| ConfigError::new(&name, diagnostics))?;
        source::resolve_main(&mut root, &report);
        let folder = path.parent().unwrap_or(Path::new(""));
        let included = source::included(&root, folder, Some(path), None, &report);
        let roots = std::iter::once(&root).chain(included.iter().filter_map(|file| file.root.as_ref().ok()));
        let hosts = roots.flat_map(|root| found(&Value::root(root, &report, FILE, &[])).unwrap_or_default());
        let mut hosts: Vec<_> = hosts.collect();
        hosts.sort_by_key(ToString::to_string);
        hosts.dedup();
        Ok(hosts)
    }
}

fn found(root: &Value<'_>) -> Option<Vec<Host>> {
    let mut hosts = Vec::new();
    let policy = UrlPolicy { plaintext: true, query: false };
    for (_, service) in root.mapping()?.optional("services")?.entries()? {
        let Some(mut mapping) = service.mapping() else { continue };
        for value in mapping.required("upstream").iter().flat_map(Value::one_or_more) {
            let upstream = value.parse(|text| upstream_url::parse_pattern(text, &policy));
            hosts.extend(upstream.map(|upstream| upstream.host.into_canonical()));
        }
        for value in mapping.optional("hosts").iter().flat_map(Value::one_or_more) {
            hosts.extend(value.parse(wildcard::parse));
        }
    }
    Some(hosts)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn hosts_are_found_in_an_invalid_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "intercept: { ca_cert_file: /nonexistent, ca_key_file: /nonexistent }
services:
  crm: { upstream: https://crm.example.com/v2, hosts: [crm.internal, a..b], auth: { type: none } }
  ip: { upstream: 'https://192.0.2.1:8443', auth: { type: bearer, token: { file: /nonexistent } } }
  broken: { upstream: 'nonsense' }
  same: { upstream: https://crm.example.com }
";
        std::fs::write(file.path(), text).unwrap();
        let hosts: Vec<_> = Config::hosts(file.path()).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(hosts, ["192.0.2.1", "crm.example.com", "crm.internal"]);
        assert!(Config::hosts(Path::new("/nonexistent")).is_err());
    }
}
