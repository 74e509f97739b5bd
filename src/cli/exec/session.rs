//! The configuration for one command: found ports on loopback, interception for its services, and nothing that a service has for
//! its operation.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::cli::ca::generate_ca;
use crate::config::{
    Admin, CaKey, Config, Host, Intercept, ListenAddress, ListenerConfig, Shutdown, Tunnel, Unmatched,
};

/// What a session has instead of what the configuration says.
#[derive(Clone)]
pub(super) struct Session {
    /// The CA that is used if the configuration has none.
    pub(super) intercept: Intercept,
    /// Whether hosts of no service are refused.
    pub(super) denies_unmatched: bool,
    /// The level of the log.
    pub(super) log_level: Option<String>,
}

/// A CA for the hosts of the services, whose key is in memory only.
pub(super) struct EphemeralCa {
    /// Its certificate, in PEM.
    pub(super) certificate: String,
    key: Arc<Zeroizing<String>>,
}

impl EphemeralCa {
    pub(super) fn generate(config: &Config) -> anyhow::Result<Self> {
        let hosts = config.services.iter().flat_map(|service| {
            let upstreams = service.upstreams().map(|upstream| upstream.host.clone().into_canonical());
            upstreams.chain(service.hosts.iter().filter_map(|name| Host::canonical(name)))
        });
        let hosts: BTreeMap<_, _> = hosts.map(|host| (host.to_string(), host)).collect();
        let hosts: Vec<_> = hosts.into_values().collect();
        let (certificate, key) = generate_ca(&hosts, false)?;
        Ok(Self { certificate, key: Arc::new(Zeroizing::new(key)) })
    }

    /// The CA, with its certificate in this file.
    pub(super) fn in_file(&self, ca_cert_file: PathBuf) -> Intercept {
        Intercept { ca_cert_file, ca_key: CaKey::Memory(self.key.clone()) }
    }
}

impl Session {
    /// The configuration of this session.
    pub(super) fn configure(&self, config: Config) -> Config {
        let found = || ListenAddress::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let mut services = config.services;
        for service in &mut services {
            service.listen.clear();
        }
        let unmatched = match config.unmatched {
            _ if self.denies_unmatched => Unmatched::Deny,
            Unmatched::Deny => Unmatched::Tunnel(Tunnel::default()),
            tunnel @ Unmatched::Tunnel(_) => tunnel,
        };
        let mut log = config.log;
        if let Some(level) = &self.log_level {
            log.level.clone_from(level);
        }
        Config {
            services,
            listen: vec![ListenerConfig { address: found(), tls: None, requires_caller: false }],
            // The command is the only caller, and is started by someone who can read the secrets.
            callers: Vec::new(),
            roles: Vec::new(),
            admin: Admin { listen: found(), ..config.admin },
            intercept: config.intercept.or_else(|| Some(self.intercept.clone())),
            unmatched,
            log,
            // Whatever still uses the proxy when the command has ended was started by it.
            shutdown: Shutdown { drain: Duration::ZERO },
            upgrade_sock: None,
            ..config
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::credential::READERS;

    const CONFIG: &str = "
listen: [127.0.0.1:8080, 'unix:/run/a.sock']
admin: { listen: 127.0.0.1:9090, token: 0123456789abcdef }
upgrade_sock: /run/upgrade.sock
services:
  a: { upstream: https://a.example, listen: 127.0.0.1:8081, auth: { type: bearer, token: 0123456789abcdef } }
";

    fn session(config: &Config, denies_unmatched: bool) -> Session {
        let intercept = EphemeralCa::generate(config).unwrap().in_file("/ca".into());
        Session { intercept, denies_unmatched, log_level: Some("warn".into()) }
    }

    #[test]
    fn session_has_found_ports_and_no_other_socket() {
        let config = Config::parse(CONFIG, "a.yaml", READERS).unwrap();
        let made = session(&config, false).configure(config.clone());
        assert_eq!(made.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:0"]);
        assert_eq!(made.admin.listen.to_string(), "127.0.0.1:0");
        assert_eq!(made.admin.token, config.admin.token);
        assert!(made.services[0].listen.is_empty() && made.upgrade_sock.is_none());
        assert_eq!(made.log.level, "warn");
        assert_eq!(made.unmatched, Unmatched::Tunnel(Tunnel::default()));
        let denying = session(&config, true).configure(config.clone());
        assert_eq!(denying.unmatched, Unmatched::Deny);
        let again = session(&config, true);
        assert_eq!(again.configure(config.clone()).intercept, again.configure(config).intercept);
    }

    #[test]
    fn generated_key_is_not_shown() {
        let config = Config::parse(CONFIG, "a.yaml", READERS).unwrap();
        let ca = EphemeralCa::generate(&config).unwrap();
        let shown = format!("{:?}", ca.in_file("/ca".into()));
        let lines: Vec<_> = ca.key.lines().filter(|line| !line.starts_with('-')).collect();
        assert!(lines.iter().all(|line| !shown.contains(line)) && shown.contains("/ca"), "{shown}");
    }
}
