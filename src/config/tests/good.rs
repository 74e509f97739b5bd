//! Good files, and what comes out of them.

use std::ffi::OsString;
use std::time::Duration;

use super::super::*;

fn environment(name: &str) -> Option<OsString> {
    match name {
        "MAIL_TOKEN" => Some("mail-token".into()),
        "MAPS_KEY" => Some("maps-key\n".into()),
        "CRM_SECRET" => Some("crm-secret".into()),
        "THREADS" => Some("3".into()),
        "HOST" => Some("example.com".into()),
        _ => None,
    }
}

fn read(text: &str) -> Config {
    Config::parse_with(text, "services.yaml", &environment).unwrap_or_else(|error| panic!("{error}"))
}

const MINIMAL: &str = "
services:
  mail:
    upstream: https://api.mail.example.com
    auth: { type: bearer, token: { env: MAIL_TOKEN } }
";

#[test]
fn a_minimal_file_gets_the_defaults() {
    let config = read(MINIMAL);
    assert_eq!(config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:8080"]);
    assert_eq!(config.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(config.log, Log::default());
    assert_eq!(config.shutdown, Shutdown::default());
    assert!((1..=256).contains(&config.threads));
    assert_eq!(config.warnings, []);
    let service = &config.services[0];
    assert_eq!(service.name, "mail");
    assert_eq!(service.upstream.to_string(), "https://api.mail.example.com");
    assert_eq!(service.timeouts, Timeouts::default());
    assert_eq!(service.token_wait, Duration::from_secs(5));
    assert_eq!(service.tls, Tls::default());
    assert!(!service.optional && service.hosts.is_empty() && service.listen.is_empty());
    assert!(matches!(&service.auth, Auth::Bearer { token } if token.expose() == "mail-token"));
}
