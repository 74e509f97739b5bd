//! `sidekey check --online`: which servers can be reached, and why the others cannot.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::harness::{MockTokenEndpoint, MockUpstream, Pki, RefusingPort, Sidekey};

/// Runs the check; returns the exit code and everything it prints.
async fn checked(services: &str) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, format!("services:\n{services}")).unwrap();
    let arguments = ["check", "--online", "--config", file.to_str().unwrap()];
    let output = Sidekey::command(&arguments, &[("RUST_LOG", "trace")]).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(!printed.contains("CANARY"), "{printed}");
    (output.status.code().expect("an exit code"), printed)
}

/// An OAuth2 service; `token_url` is a key with its value, `tls` is set in the service and in its `auth`.
fn oauth2(name: &str, upstream: &str, token_url: &str, tls: &str) -> String {
    let tls = if tls.is_empty() { String::new() } else { format!(", tls: {tls}") };
    format!(
        "  {name}: {{ upstream: '{upstream}'{tls}, auth: {{ type: oauth2, grant_type: client_credentials, \
         {token_url}, client_id: me, client_secret: s3cret-CANARY{tls} }} }}\n"
    )
}

fn bearer(name: &str, upstream: &str, more: &str) -> String {
    format!("  {name}: {{ upstream: {upstream}, auth: {{ type: bearer, token: tok-CANARY }}{more} }}\n")
}

/// The rest of the line of a check, with single spaces between columns.
fn line(printed: &str, service: &str, what: &str, host: &str) -> String {
    let start = format!("{service} {what} {host} ");
    let lines = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut found = lines.filter_map(|line| line.strip_prefix(&start).map(str::to_owned));
    found.next().unwrap_or_else(|| panic!("no line of {start:?}: {printed}"))
}

fn host(url: &str) -> &str {
    url.split("://").nth(1).unwrap().split(['/', '?']).next().unwrap()
}

#[tokio::test]
async fn check_online_connects_to_servers_and_sends_no_request() {
    let pki = Pki::new();
    let (plain, secure) = (MockUpstream::plain().await, MockUpstream::tls(&pki).await);
    let (endpoint, secure_endpoint) = (MockTokenEndpoint::plain().await, MockTokenEndpoint::tls(&pki).await);
    let issuer = MockUpstream::tls(&pki).await;
    let tls = format!("{{ ca_file: {} }}", pki.ca_file());
    let services = [
        bearer(
            "several",
            &format!("['{}', '{}/v1']", plain.url(), plain.url().replace("127.0.0.1", "localhost")),
            "",
        ),
        oauth2("plain", &plain.url(), &format!("token_url: '{}?key=CANARY'", endpoint.url()), ""),
        oauth2("secure", &secure.url(), &format!("token_url: '{}'", secure_endpoint.url()), &tls),
        oauth2("issued", &secure.url(), &format!("issuer: '{}'", issuer.url()), &tls),
    ];
    let (code, printed) = checked(&services.concat()).await;
    assert_eq!(code, 0, "{printed}");
    let port = plain.address().port();
    for (service, what, host) in [
        ("several", "upstream", format!("127.0.0.1:{port}")),
        ("several", "upstream", format!("localhost:{port}")),
        ("plain", "upstream", host(&plain.url()).into()),
        ("plain", "token endpoint", host(&endpoint.url()).into()),
        ("secure", "upstream", host(&secure.url()).into()),
        ("secure", "token endpoint", host(&secure_endpoint.url()).into()),
        ("issued", "issuer", host(&issuer.url()).into()),
    ] {
        let result = line(&printed, service, what, &host);
        let is_secure = host.starts_with("localhost");
        let expected = if is_secure { "OK, certificate until 4096-01-01T00:00:00Z" } else { "OK" };
        assert!(result == "OK" || result == expected, "{printed}");
    }
    for server in [&plain, &secure, endpoint.server(), secure_endpoint.server(), &issuer] {
        assert!(server.connections() > 0);
        assert_eq!(server.request_count(), 0);
    }
}

#[tokio::test]
async fn check_online_names_each_obstacle_with_advice() {
    let (pki, other, refusing) = (Pki::new(), Pki::named("Another CA"), RefusingPort::new());
    let (good, secure) = (MockUpstream::plain().await, MockUpstream::tls(&pki).await);
    let (endpoint, namesake) = (MockTokenEndpoint::tls(&pki).await, Pki::new());
    let no_tls = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The kernel accepts the connection, and nothing reads from it.
    let hanging: SocketAddr = no_tls.local_addr().unwrap();
    let wrong_ca = format!("{{ ca_file: {} }}", other.ca_file());
    let services = [
        bearer("good", &good.url(), ""),
        oauth2("untrusted", &secure.url(), &format!("token_url: '{}'", endpoint.url()), &wrong_ca),
        bearer("namesake", &secure.url(), &format!(", tls: {{ ca_file: {} }}", namesake.ca_file())),
        bearer("refused", &format!("http://{}", refusing.address), ""),
        bearer("nowhere", "https://no-such-host.invalid", ""),
        bearer("hanging", &format!("https://{hanging}"), ", timeouts: { connect: 1s }"),
    ];
    let (code, printed) = checked(&services.concat()).await;
    assert_eq!(code, 1, "{printed}");
    assert_eq!(line(&printed, "good", "upstream", host(&good.url())), "OK");
    for (service, what, host, said) in [
        ("untrusted", "upstream", host(&secure.url()), ["UnknownIssuer", "tls: { ca_file: PATH }"]),
        ("namesake", "upstream", host(&secure.url()), ["BadSignature", "tls: { ca_file: PATH }"]),
        ("untrusted", "token endpoint", host(&endpoint.url()), ["UnknownIssuer", "`tls` under `auth`"]),
        (
            "refused",
            "upstream",
            &refusing.address.to_string(),
            ["refused", "is the port in `upstream` right"],
        ),
        ("nowhere", "upstream", "no-such-host.invalid:443", ["cannot resolve", "spelled correctly"]),
        (
            "hanging",
            "upstream",
            &hanging.to_string(),
            ["TLS handshake is not complete", "within 1 s (timeouts.connect)"],
        ),
    ] {
        let line = line(&printed, service, what, host);
        assert!(
            line.starts_with("FAILED: ") && said.iter().all(|said| line.contains(said)),
            "{said:?}: {line}"
        );
    }
    assert!(printed.contains("6 of 7 cannot be reached"), "{printed}");
    assert_eq!((good.request_count(), secure.request_count(), endpoint.request_count()), (0, 0, 0));
}

#[tokio::test]
async fn check_online_detects_required_client_certificate() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server_for(&["127.0.0.1", "localhost"], &pki)).await;
    let tls = format!(", tls: {{ ca_file: {} }}", pki.ca_file());
    let (code, printed) = checked(&bearer("mutual", &upstream.url(), &tls)).await;
    assert_eq!(code, 1, "{printed}");
    let line = line(&printed, "mutual", "upstream", host(&upstream.url()));
    assert!(line.contains("cert_file: PATH"), "{line}");
}

#[tokio::test]
async fn check_online_does_not_connect_if_config_is_invalid() {
    let upstream = MockUpstream::plain().await;
    let (code, printed) = checked(&bearer("api", &upstream.url(), ", no_such_key: 1")).await;
    assert_eq!((code, upstream.connections()), (78, 0), "{printed}");
}

#[tokio::test]
async fn check_online_reaches_trace_collector_without_span() {
    let (pki, other) = (Pki::new(), Pki::named("Another CA"));
    let (upstream, collector) = (MockUpstream::plain().await, MockUpstream::tls(&pki).await);
    let services = |ca: &Pki| {
        let collector = format!(
            "tracing: {{ otlp_endpoint: '{}', headers: {{ X-Key: key-CANARY }}, tls: {{ ca_file: {} }} }}",
            collector.url(),
            ca.ca_file()
        );
        bearer("api", &upstream.url(), "") + &collector + "\n"
    };
    let (code, printed) = checked(&services(&pki)).await;
    assert_eq!(
        (code, line(&printed, "tracing", "collector", host(&collector.url())).as_str()),
        (0, "OK, certificate until 4096-01-01T00:00:00Z")
    );

    let (code, printed) = checked(&services(&other)).await;
    let line = line(&printed, "tracing", "collector", host(&collector.url()));
    assert_eq!(code, 1, "{printed}");
    assert!(line.starts_with("FAILED: ") && line.contains("`tls` under `tracing`"), "{line}");
    assert!(printed.contains("1 of 2 cannot be reached"), "{printed}");
    assert!(collector.connections() > 0);
    assert_eq!((collector.request_count(), upstream.request_count()), (0, 0));
}

#[tokio::test]
async fn check_online_warns_of_a_certificate_that_ends_soon() {
    let pki = Pki::new();
    let ending = MockUpstream::tls_with(pki.server_ending_in(&["localhost"], 3)).await;
    let trust = format!(", tls: {{ ca_file: '{}' }}", pki.ca_file());
    let (code, printed) = checked(&bearer("ending", &ending.url(), &trust)).await;
    assert_eq!(code, 0, "{printed}");
    let result = line(&printed, "ending", "upstream", host(&ending.url()));
    assert!(result.starts_with("OK, but: The certificate of the upstream ends at 20"), "{result}");
}

#[tokio::test]
async fn check_online_connects_to_the_servers_of_a_stores_keys() {
    let (upstream, server) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "tok-CANARY").unwrap();
    let token = folder.path().join("token").display().to_string();
    let role = "role_arn: 'arn:aws:iam::123456789012:role/a'";
    let stores = |url: &str| {
        let store = |name: &str, keys: &str| {
            format!(
                "  {name}: {{ type: aws_secrets_manager, region: eu-west-1, url: '{}', {keys} }}\n",
                server.url()
            )
        };
        let stores = [
            store("instance", &format!("credentials: {{ from: instance, url: '{url}' }}")),
            store("container", &format!("credentials: {{ from: container, url: '{url}/keys?CANARY' }}")),
            store(
                "web",
                &format!(
                    "credentials: {{ from: web_identity, {role}, token_file: '{token}', sts_url: '{url}' }}"
                ),
            ),
            store(
                "key",
                &format!(
                    "access_key_id: AKID, secret_access_key: s3cret-CANARY, assume_role: {{ {role}, sts_url: '{url}' }}"
                ),
            ),
        ];
        let api = bearer("api", &upstream.url(), "");
        format!("{api}secret_stores:\n{}", stores.concat())
    };
    let servers = [
        ("instance", "metadata service"),
        ("container", "container endpoint"),
        ("web", "STS"),
        ("key", "STS"),
    ];
    let (code, printed) = checked(&stores(&server.url())).await;
    assert_eq!(code, 0, "{printed}");
    for (store, what) in servers {
        for what in ["secret store", what] {
            let found = line(&printed, &format!("secret_stores.{store}"), what, host(&server.url()));
            assert_eq!(found, "OK", "{printed}");
        }
    }
    assert_eq!(server.request_count(), 0, "no request is sent");
    let refusing = RefusingPort::new();
    let url = format!("http://{}", refusing.address);
    let (code, printed) = checked(&stores(&url)).await;
    assert_eq!(code, 1, "{printed}");
    for (store, what) in servers {
        let found = line(&printed, &format!("secret_stores.{store}"), what, host(&url));
        assert!(found.starts_with("FAILED: ") && !found.contains("timeouts.connect"), "{found}");
    }
}

#[tokio::test]
async fn check_online_connects_to_the_servers_of_platforms() {
    let (upstream, server) = (MockUpstream::plain().await, MockUpstream::plain().await);
    let federation = tempfile::tempdir().unwrap();
    let file = federation.path().join("federation.json");
    let content = serde_json::json!({
        "type": "external_account", "audience": "//iam.googleapis.com/a", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": { "url": format!("{}/subject?key=CANARY", server.url()), "headers": { "X-Secret": "s3cret-CANARY" } },
    });
    std::fs::write(&file, content.to_string()).unwrap();
    let token = federation.path().join("token");
    std::fs::write(&token, "tok-CANARY").unwrap();
    let url = server.url();
    let service = |name: &str, auth: &str| {
        format!("  {name}: {{ upstream: '{}', auth: {{ {auth} }} }}\n", upstream.url())
    };
    let aws = "type: aws_sigv4, service: s3, region: eu-west-1";
    let services = |url: &str| {
        [
            service("instance", &format!("{aws}, credentials: {{ from: instance, url: '{url}' }}")),
            service(
                "role",
                &format!(
                    "{aws}, credentials: {{ from: instance, url: '{url}' }}, \
                     assume_role: {{ role_arn: 'arn:aws:iam::123456789012:role/a', sts_url: '{url}' }}"
                ),
            ),
            service("azure", &format!("type: azure_managed_identity, scope: 'https://management.azure.com/.default', url: '{url}'")),
            service("metadata", &format!("type: gcp_metadata, scopes: [a], url: '{url}'")),
            service(
                "federation",
                &format!(
                    "type: gcp_external_account, scopes: [a], credential_file: '{}', token_url: '{url}/token', \
                     impersonation_url: '{url}/v1/a:generateAccessToken'",
                    file.display()
                ),
            ),
            service("session", &format!("type: login, login_url: '{url}', fields: {{ a: s3cret-CANARY }}, session: 'header:X-Session'")),
        ]
        .concat()
    };
    let (code, printed) = checked(&services(&url)).await;
    assert_eq!(code, 0, "{printed}");
    for (service, what) in [
        ("instance", "metadata service"),
        ("role", "metadata service"),
        ("role", "STS"),
        ("azure", "metadata service"),
        ("metadata", "metadata server"),
        ("federation", "subject token server"),
        ("federation", "token service"),
        ("federation", "IAM"),
        ("session", "login server"),
    ] {
        assert_eq!(line(&printed, service, what, host(&url)), "OK", "{printed}");
    }
    assert_eq!(server.request_count(), 0, "no request is sent");

    let port = RefusingPort::new();
    let (code, printed) = checked(&services(&format!("http://{}", port.address))).await;
    assert_eq!(code, 1, "{printed}");
    let said = line(&printed, "role", "STS", &port.address.to_string());
    assert!(said.starts_with("FAILED: ") && said.contains("`assume_role.sts_url`"), "{said}");
}
