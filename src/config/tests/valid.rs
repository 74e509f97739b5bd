//! Valid files and the resulting configuration.

use std::ffi::OsString;
use std::time::Duration;

use crate::config::auth::placement::{Placement, RequestPart};
use crate::config::*;
use crate::credential::kinds::{api_key, basic, bearer};

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
    Config::parse_with(text, "services.yaml", &environment, crate::credential::READERS)
        .unwrap_or_else(|error| panic!("{error}"))
}

const MINIMAL: &str = "
services:
  mail:
    upstream: https://api.mail.example.com
    auth: { type: bearer, token: { env: MAIL_TOKEN } }
";

#[test]
fn minimal_file_has_the_defaults() {
    let config = read(MINIMAL);
    assert_eq!(config.listen.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1:8080"]);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(config.log, Log::default());
    assert_eq!(config.shutdown, Shutdown::default());
    assert!(config.hardening.enabled && config.hardening.writable.is_empty());
    assert!((1..=256).contains(&config.threads));
    assert_eq!(config.warnings, []);
    let service = &config.services[0];
    assert_eq!(service.name, "mail");
    assert_eq!(service.upstream.to_string(), "https://api.mail.example.com");
    assert_eq!(service.timeouts, Timeouts::default());
    assert_eq!(service.token_wait, Duration::from_secs(5));
    assert_eq!(service.tls, Tls::default());
    assert!(service.readiness == Readiness::First && service.hosts.is_empty() && service.listen.is_empty());
    let bearer = service.auth.settings::<bearer::Settings>().unwrap();
    assert!(bearer.previous.is_none() && bearer.token.expose() == "mail-token");
}

#[test]
fn previous_secret_is_read_unless_it_is_the_same() {
    let config = read("
services:
  basic: { upstream: https://a.example, auth: { type: basic, username: a, password: '', previous: { env: CRM_SECRET } } }
  bearer: { upstream: https://a.example, auth: { type: bearer, token: { env: MAIL_TOKEN }, previous: { env: CRM_SECRET } } }
  key: { upstream: https://a.example, auth: { type: api_key, name: X-Api-Key, value: { env: MAPS_KEY }, previous: { env: CRM_SECRET } } }
  same: { upstream: https://a.example, auth: { type: bearer, token: { env: MAIL_TOKEN }, previous: { env: MAIL_TOKEN } } }
");
    for service in &config.services[..3] {
        let previous = None
            .or_else(|| service.auth.settings::<basic::Settings>()?.previous.as_ref())
            .or_else(|| service.auth.settings::<bearer::Settings>()?.previous.as_ref())
            .or_else(|| service.auth.settings::<api_key::Settings>()?.previous.as_ref());
        assert!(service.auth.has_previous());
        assert_eq!(previous.unwrap().expose(), "crm-secret", "{}", service.name);
    }
    assert!(!config.services[3].auth.has_previous());
    let warnings: Vec<_> =
        config.warnings.iter().map(|one| (one.path.as_str(), one.message.as_str())).collect();
    assert_eq!(warnings, [("services.same.auth.previous", "the same value as `token`; it has no effect")]);
}

#[test]
fn credential_of_every_static_kind_is_read() {
    let config = read("
services:
  basic: { upstream: https://a.example, auth: { type: basic, username: '', password: { env: CRM_SECRET } } }
  header: { upstream: https://a.example, auth: { type: api_key, name: X-Api-Key, prefix: 'Token ', value: { env: MAPS_KEY } } }
  query: { upstream: https://a.example, auth: { type: api_key, in: query, name: 'api key', value: { env: MAPS_KEY } } }
  cookie: { upstream: https://a.example, auth: { type: api_key, in: cookie, name: Session, value: { env: MAPS_KEY } } }
");
    let auth: Vec<_> = config.services.iter().map(|service| &service.auth).collect();
    let basic = auth[0].settings::<basic::Settings>().unwrap();
    assert!(matches!(&basic.username, Username::Text(name) if name.is_empty()) && basic.previous.is_none());
    assert_eq!(basic.password.as_ref().unwrap().expose(), "crm-secret");
    let key = |auth: &Auth| {
        let key = auth.settings::<api_key::Settings>().unwrap();
        assert_eq!(key.previous, None);
        assert_eq!(key.value.expose(), "maps-key");
        key.placement.clone()
    };
    let placement =
        |part, name: &str, prefix: &str| Placement { part, name: name.into(), prefix: prefix.into() };
    assert_eq!(key(auth[1]), placement(RequestPart::Header, "X-Api-Key", "Token "));
    assert_eq!(key(auth[2]), placement(RequestPart::Query, "api key", ""));
    assert_eq!(key(auth[3]), placement(RequestPart::Cookie, "Session", ""));
}

#[test]
fn oauth2_credential_is_read() {
    let config = read(
        "
services:
  crm:
    upstream: https://crm.example.com/v2/
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example.com/token?tenant=1
      client_id: crm-sync
      client_secret: { env: CRM_SECRET }
      basic_auth_encoding: raw
      scopes: contacts.read contacts.write
      token_request: { params: { audience: https://crm.example.com, resource: [b, a] } }
      default_expires_in: 1h30m
  post:
    upstream: https://crm.example.com
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: http://127.0.0.1:4444/token
      client_id: crm-sync
      client_secret: { env: CRM_SECRET }
      auth_method: client_secret_post
      token_request: { timeout: 500ms }
",
    );
    let oauth2 = |index: usize| config.services[index].auth.settings::<OAuth2>().unwrap().clone();
    let crm = oauth2(0);
    assert_eq!(crm.token_url.as_str(), "https://login.example.com/token?tenant=1");
    assert!(
        matches!(&crm.client_auth, ClientAuth::SecretBasic { secret, encoding: BasicEncoding::Raw } if secret.expose() == "crm-secret")
    );
    assert_eq!(crm.scopes, ["contacts.read", "contacts.write"]);
    let params: Vec<_> =
        crm.request.params.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(params, [("audience", "https://crm.example.com"), ("resource", "b"), ("resource", "a")]);
    assert_eq!(crm.default_expires_in, Some(Duration::from_secs(5400)));
    assert_eq!(crm.request.timeout, None);
    let post = oauth2(1);
    assert_eq!(post.client_auth.as_str(), "client_secret_post");
    assert_eq!(post.request.timeout, Some(Duration::from_millis(500)));
}

#[test]
fn other_keys_are_read() {
    let config = read(
        "
listen: [127.0.0.1:0, '[::1]:0', 127.0.0.1:0, 'unix:/run/sidekey.sock']
admin: localhost:9091
services:
  crm:
    upstream: http://crm.internal
    auth: { type: bearer, token: { env: MAIL_TOKEN } }
    hosts: [CRM.internal, 10.0.0.1]
    listen: 127.0.0.1:8081
    timeouts: { connect: 1s, first_byte: 2s, idle: 3s, total: 4m }
    token_wait: 0s
    readiness: never
    allow_plaintext: true
log: { level: 'warn,sidekey=debug', format: json }
access_log: true
shutdown: { drain: 0s }
threads: 7
",
    );
    assert_eq!(config.listen.len(), 4);
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:9091");
    let crm = &config.services[0];
    assert_eq!(crm.upstream.to_string(), "http://crm.internal");
    assert_eq!(crm.hosts, ["crm.internal", "10.0.0.1"]);
    assert_eq!(crm.listen[0].to_string(), "127.0.0.1:8081");
    let seconds = Duration::from_secs;
    let timeouts = Timeouts {
        connect: seconds(1),
        first_byte: seconds(2),
        idle: seconds(3),
        total: Some(seconds(240)),
        tunnel_idle: None,
    };
    assert_eq!(crm.timeouts, timeouts);
    assert!(crm.readiness == Readiness::Never && crm.token_wait.is_zero());
    assert_eq!(config.log, Log { level: "warn,sidekey=debug".into(), format: LogFormat::Json });
    assert!(config.access_log);
    assert!(config.shutdown.drain.is_zero());
    assert_eq!(config.threads, 7);
}

#[test]
fn variables_aliases_and_merges_are_resolved() {
    let config = read(
        "
threads: ${THREADS}
services:
  a: &a
    upstream: https://${HOST}/${NONE:-v1}
    auth: &auth { type: bearer, token: { env: MAIL_TOKEN } }
    rewrite_location: ${NONE:-false}
    timeouts: &slow { total: 10m }
  b:
    <<: *a
    upstream: https://b.example.com
  c: { upstream: https://c.example.com, auth: *auth, timeouts: { <<: [*slow], idle: 5m } }
",
    );
    assert_eq!(config.threads, 3);
    let shown: Vec<_> = config.services.iter().map(|service| service.upstream.to_string()).collect();
    assert_eq!(shown, ["https://example.com/v1", "https://b.example.com", "https://c.example.com"]);
    assert!(!config.services[1].rewrite_location && config.services[2].rewrite_location);
    assert_eq!(config.services[2].timeouts.total, Some(Duration::from_secs(600)));
    assert_eq!(config.services[0].auth, config.services[2].auth);
}

#[test]
fn shared_credential_is_equal_in_all_services() {
    let config = read(
        "
credentials:
  shared: { type: bearer, token: { env: MAIL_TOKEN } }
services:
  a: { upstream: https://a.example, auth: { use: shared } }
  b: { upstream: https://b.example, auth: { use: shared } }
",
    );
    assert_eq!(config.services[0].auth, config.services[1].auth);
    assert_eq!(config.warnings, []);
}

#[test]
fn secret_without_quotes_is_what_the_file_says_or_an_error() {
    let read = |secret: &str| {
        let text = format!(
            "services: {{ a: {{ upstream: 'https://a.example', auth: {{ type: basic, username: u, password: {secret} }} }} }}"
        );
        Config::parse(&text, "a.yaml", crate::credential::READERS).ok()
    };
    let of = |secret: &str| read(&format!("'{secret}'")).unwrap().services.remove(0).auth;
    for text in
        ["012345", "00", "0123456789012345678901234567890", "1_000", "12:30", "2024-01-01", "yes", "no", "on"]
    {
        assert!(read(text).unwrap().services.remove(0).auth == of(text), "{text}");
    }
    for other in
        ["123456", "1e5", "1.50", "0x1f", "0o17", "0b1", "-7", "+7", ".inf", "true", "False", "null", "~"]
    {
        assert!(read(other).is_none(), "{other}");
        read(&format!("'{other}'")).unwrap();
    }
}

#[test]
fn unwise_settings_cause_warnings() {
    let config = read(
        "
listen: 0.0.0.0:8080
services:
  a: { upstream: https://a.example, auth: { type: bearer, token: CANARY } }
credentials:
  spare: { type: bearer, token: { env: MAIL_TOKEN } }
",
    );
    let warnings: Vec<_> =
        config.warnings.iter().map(|warning| (warning.line, warning.path.as_str())).collect();
    assert_eq!(warnings, [(2, "listen"), (4, "services.a.auth.token"), (6, "credentials.spare")]);
    assert!(!format!("{:?}", config.warnings).contains("CANARY"));
}

#[test]
fn region_of_another_host_causes_a_warning() {
    let warnings = |host: &str, region: &str| {
        let auth = "service: s3, access_key_id: AKIDEXAMPLE, secret_access_key: { env: MAIL_TOKEN }";
        let text = format!(
            "services:\n  a: {{ upstream: 'https://{host}', auth: {{ type: aws_sigv4, region: {region}, {auth} }} }}\n"
        );
        let warnings = read(&text).warnings.into_iter();
        warnings.filter(|one| one.path.ends_with("upstream")).map(|one| one.message).collect::<Vec<_>>()
    };
    for (host, region) in [
        ("s3.us-east-1.amazonaws.com", "eu-west-1"),
        // A zone is no region, and a region has small letters.
        ("s3.eu-west-1.amazonaws.com", "eu-west-1a"),
        ("*.s3.eu-west-1.amazonaws.com", "EU-West-1"),
    ] {
        let found = warnings(host, region);
        assert!(
            found.len() == 1 && found[0].contains("AWS rejects a signature for another region"),
            "{found:?}"
        );
    }
    for (host, region) in [
        ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("s3.amazonaws.com", "eu-west-1"),
        ("minio.eu-west-1.example.com", "us-east-1"),
    ] {
        assert_eq!(warnings(host, region), Vec::<String>::new(), "{host} {region}");
    }
}

#[test]
fn config_debug_output_hides_secrets() {
    let config = read(
        "
services:
  crm:
    upstream: https://crm.example.com
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://login.example.com/token?key=CANARY
      client_id: crm
      client_secret: CANARY
      token_request: { params: { password: CANARY } }
  mail: { upstream: https://a.example, auth: { type: bearer, token: CANARY } }
",
    );
    assert!(!format!("{config:?} {config:#?}").contains("CANARY"));
}

#[test]
fn admin_is_an_address_or_a_mapping() {
    let admin = |text: &str| read(&format!("{MINIMAL}admin: {text}\n")).admin;
    let open = admin("127.0.0.1:9191");
    assert!(open.token.is_none() && !open.require_token_to_read && !open.require_token_for_metrics);
    let closed = admin(
        "{ listen: 'unix:/run/a.sock', token: 0123456789abcdef-token, require_token_to_read: true, hosts: [Admin.internal] }",
    );
    assert_eq!(closed.listen.to_string(), "unix:/run/a.sock");
    assert!(closed.token.is_some() && closed.require_token_to_read && !closed.require_token_for_metrics);
    assert_eq!(closed.hosts, ["admin.internal"]);
    assert_eq!(admin("{ hosts: [a.internal] }").listen.to_string(), "127.0.0.1:9090");
}
