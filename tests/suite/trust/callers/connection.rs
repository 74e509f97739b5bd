//! Callers that are known by their connection: Unix socket, client certificate, network.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rustix::process::{getegid, geteuid};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::setup::{BILLING_KEY, configuration, configured, outcome, sha256};
use crate::harness::{Connection, MockUpstream, Pki, Request, Sidekey, run};

/// Roles that let `local` use crm, and `other` use reports.
const ROLES: &str = "roles:
  crm: { callers: local, services: [crm] }
  reports: { callers: other, services: [reports] }
";

async fn by_unix(sidekey: &Sidekey, path: &str) -> u16 {
    let mut connection = Connection::open_unix(&sidekey.dir().join("sidekey.sock")).await;
    connection.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
    connection.response().await.status
}

/// The status that curl gets as another user.
async fn by_unix_as(sidekey: &Sidekey, uid: u32, path: &str) -> String {
    let socket = sidekey.dir().join("sidekey.sock");
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        &uid.to_string(),
        "--regid",
        &uid.to_string(),
        "--clear-groups",
        "curl",
        "-s",
        "-o",
        "/dev/null",
    ]);
    command.args([
        "-w",
        "%{http_code}",
        "--unix-socket",
        socket.to_str().unwrap(),
        &format!("http://localhost{path}"),
    ]);
    String::from_utf8(run(command, b"").await.stdout).unwrap()
}

#[tokio::test]
async fn process_is_known_by_its_user_and_group() {
    let upstream = MockUpstream::plain().await;
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    for (local, is_known) in [
        (format!("uid: {uid}"), true),
        (format!("uid: {uid}, gid: {gid}"), true),
        (format!("gid: {gid}"), true),
        (format!("uid: {uid}, gid: {}", gid + 1), false),
        (format!("uid: {}", uid + 1), false),
        (format!("uid: {uid}, cgroup: /no.slice/such.service"), false),
    ] {
        let callers = format!(
            "callers:\n  other: {{ unix: {{ uid: 1001 }} }}\n  local: {{ unix: {{ {local} }} }}\n{ROLES}"
        );
        let config = configuration(&upstream, &callers, "[127.0.0.1:0, 'unix:$DIR/sidekey.sock']");
        let sidekey = Sidekey::configured(&config).start().await;
        let expected = if is_known { (200, 403) } else { (401, 401) };
        let found = (by_unix(&sidekey, "/crm/x").await, by_unix(&sidekey, "/reports/x").await);
        assert_eq!(found, expected, "{local}");
        assert_eq!(sidekey.get("/crm/x").await.status, 401, "{local}: a TCP connection has no such peer");
        if geteuid().is_root() {
            // Another user is another caller.
            let (dir, socket) = (sidekey.dir(), sidekey.dir().join("sidekey.sock"));
            std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
            std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o666)).unwrap();
            let found =
                (by_unix_as(&sidekey, 1001, "/crm/x").await, by_unix_as(&sidekey, 1001, "/reports/x").await);
            assert_eq!((found.0.as_str(), found.1.as_str()), ("403", "200"), "{local}");
            assert_eq!(by_unix_as(&sidekey, 1002, "/crm/x").await, "401", "{local}");
        }
    }
}

/// A control group of the unified hierarchy, which is removed when dropped.
struct ControlGroup {
    folder: PathBuf,
    /// As `/proc/PID/cgroup` shows it.
    path: String,
}

impl ControlGroup {
    /// A group below this process's own. Needs root, and a hierarchy that can be written to.
    fn new(name: &str) -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find_map(|line| {
            let mut words = line.split(' ').skip(1);
            words.next().filter(|_| words.next() == Some("cgroup2"))
        });
        let mount = mount.expect("a unified hierarchy of control groups (mount -t cgroup2)");
        let own = std::fs::read_to_string("/proc/self/cgroup").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("0::")).unwrap().trim_end_matches('/');
        let path = format!("{own}/sidekey-test-{}-{name}", std::process::id());
        let folder = PathBuf::from(format!("{mount}{path}"));
        std::fs::create_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Self { folder, path }
    }

    /// The status that curl gets from inside of the group.
    async fn call(&self, sidekey: &Sidekey, path: &str) -> String {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo $$ > \"$0/cgroup.procs\" && exec curl -s -o /dev/null -w '%{http_code}' --unix-socket \"$1\" \"$2\"",
        ]);
        command
            .arg(&self.folder)
            .arg(sidekey.dir().join("sidekey.sock"))
            .arg(format!("http://localhost{path}"));
        let output = run(command, b"").await;
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.folder);
    }
}

#[tokio::test]
async fn process_is_known_by_its_control_group() {
    // Only root may make a group and enter it. `control_group_matches_itself_and_those_below` needs no root.
    if !geteuid().is_root() {
        return;
    }
    let upstream = MockUpstream::plain().await;
    let (local, other, neighbour) =
        (ControlGroup::new("app"), ControlGroup::new("other"), ControlGroup::new("app2"));
    let callers = format!(
        "callers:\n  other: {{ unix: {{ cgroup: {} }} }}\n  local: {{ unix: {{ cgroup: {} }} }}\n{ROLES}",
        other.path, local.path
    );
    let config = configuration(&upstream, &callers, "[127.0.0.1:0, 'unix:$DIR/sidekey.sock']");
    let sidekey = Sidekey::configured(&config).start().await;
    assert_eq!(local.call(&sidekey, "/crm/x").await, "200");
    assert_eq!(local.call(&sidekey, "/reports/x").await, "403");
    assert_eq!(other.call(&sidekey, "/crm/x").await, "403");
    assert_eq!(other.call(&sidekey, "/reports/x").await, "200");
    assert_eq!(neighbour.call(&sidekey, "/crm/x").await, "401", "a name that begins in the same way");
    assert_eq!(by_unix(&sidekey, "/crm/x").await, 401, "the group of this process");
}

#[tokio::test]
async fn user_that_a_reload_adds_is_known_on_new_connections() {
    let upstream = MockUpstream::plain().await;
    let listen = "[127.0.0.1:0, 'unix:$DIR/sidekey.sock']";
    let config = |callers: &str| configuration(&upstream, callers, listen);
    let sidekey = Sidekey::configured(&config("")).start().await;
    let mut open = Connection::open_unix(&sidekey.dir().join("sidekey.sock")).await;
    let get = "GET /crm/x HTTP/1.1\r\nHost: localhost\r\n\r\n";
    open.send(get).await;
    assert_eq!(open.response().await.status, 200);
    let callers = format!("callers: {{ local: {{ unix: {{ uid: {} }} }} }}", geteuid().as_raw());
    sidekey.reconfigure(&config(&callers));
    assert!(sidekey.reload().await);
    assert_eq!(by_unix(&sidekey, "/crm/x").await, 200);
    // The listener requires callers now: what it accepted before is closed, and not served without one.
    let refused = open.try_send(get).await.is_err()
        || open.response_to("GET").await.is_ok_and(|response| response.status == 401)
        || open.rest().await.is_empty();
    assert!(refused);
}

#[tokio::test]
async fn network_is_that_of_the_connection() {
    let upstream = MockUpstream::plain().await;
    for (network, expected) in [
        ("127.0.0.0/8", 200),
        ("['203.0.113.0/24', '127.0.0.1']", 200),
        ("203.0.113.0/24", 401),
        ("'::1'", 401),
    ] {
        let callers = format!(
            "callers: {{ local: {{ network: {network} }}, other: {{ network: 198.51.100.1 }} }}\n{ROLES}"
        );
        let sidekey = configured(&upstream, &callers).start().await;
        let request = Request::get(sidekey.url("/crm/x"))
            .header("X-Forwarded-For", "198.51.100.1")
            .header("Forwarded", "for=198.51.100.1")
            .header("X-Real-IP", "198.51.100.1")
            // No caller presents a credential: this is what an app sends to the API, as before.
            .header("Authorization", "Bearer dummy");
        assert_eq!(request.clone().send().await.status, expected, "{network}");
        assert_eq!(request.over_http2().send().await.status, expected, "{network}");
    }
}

#[tokio::test]
async fn caller_is_known_only_if_everything_holds() {
    let upstream = MockUpstream::plain().await;
    let callers = format!(
        "callers:
  elsewhere: {{ network: 203.0.113.0/24, bearer: {{ sha256: {} }} }}
  local: {{ network: 127.0.0.1 }}
  other: {{ network: 203.0.113.0/24 }}
{ROLES}",
        sha256(BILLING_KEY)
    );
    let sidekey = configured(&upstream, &callers).start().await;
    assert_eq!(sidekey.get("/crm/x").await.status, 200);
    // A key that is right, from the wrong place, does not make it the caller of that place, nor of this one.
    let response = Request::get(sidekey.url("/crm/x"))
        .header("Authorization", &format!("Bearer {BILLING_KEY}"))
        .send()
        .await;
    let (status, rule) = outcome(&response);
    assert_eq!((status, rule.split(':').next()), (401, Some("other_connection")));
    let wrong = Request::get(sidekey.url("/crm/x")).header("Authorization", "Bearer wrong").send().await;
    assert_eq!(wrong.status, 401, "no fall-back to the network");
}

/// A Sidekey whose listener demands client certificates of `clients`.
async fn demanding(upstream: &MockUpstream, pki: &Pki, clients: &Pki, callers: &str) -> Sidekey {
    let files = pki.server_files(&["localhost"]);
    let listen = "{ address: '127.0.0.1:0', tls: { cert_file: $DIR/cert.pem, key_file: $DIR/key.pem, client_ca_file: $DIR/clients.pem } }";
    Sidekey::configured(&configuration(upstream, callers, listen))
        .file("cert.pem", &std::fs::read_to_string(files.certificate).unwrap())
        .file("key.pem", &std::fs::read_to_string(files.key).unwrap())
        .file("clients.pem", &clients.ca_pem())
        .start()
        .await
}

/// The status that curl gets with a client certificate; `000` if the handshake fails.
async fn with_certificate(
    sidekey: &Sidekey,
    pki: &Pki,
    (certificate, key): &(String, String),
    version: &str,
    path: &str,
) -> String {
    sidekey.write("client.pem", &format!("{certificate}{key}"));
    let file = sidekey.dir().join("client.pem");
    let url = format!("https://localhost:{}{path}", sidekey.address().port());
    let mut command = Command::new("curl");
    command.args(["-s", version, "-o", "/dev/null", "-w", "%{http_code}", "--cacert", &pki.ca_file()]);
    command.args([
        "--cert",
        file.to_str().unwrap(),
        "-H",
        "X-Forwarded-Client-Cert: URI=spiffe://example.org/other",
        &url,
    ]);
    String::from_utf8(run(command, b"").await.stdout).unwrap()
}

#[tokio::test]
async fn certificate_is_known_by_its_names() {
    let upstream = MockUpstream::plain().await;
    let (pki, clients, strangers) = (Pki::new(), Pki::named("clients"), Pki::named("strangers"));
    let callers = format!(
        "callers:
  local: {{ certificate: {{ spiffe_id: 'spiffe://example.org/ns/*/web' }} }}
  other: {{ certificate: {{ dns: '*.apps.example.org' }} }}
{ROLES}"
    );
    let sidekey = demanding(&upstream, &pki, &clients, &callers).await;
    let web = "spiffe://example.org/ns/prod/web";
    for (uris, dns, crm, reports) in [
        (&[web][..], &[][..], "200", "403"),
        (&[], &["a.apps.example.org"], "403", "200"),
        (&[web], &["a.apps.example.org"], "200", "403"),
        (&[web, "spiffe://example.org/x"], &[], "401", "401"),
        (&["spiffe://example.org/ns/prod/web/x"], &[], "401", "401"),
        (&["spiffe://example.com/ns/prod/web"], &[], "401", "401"),
        (&[], &["a.b.apps.example.org"], "401", "401"),
        (&[], &["*.apps.example.org"], "401", "401"),
        (&[], &["a*.apps.example.org"], "401", "401"),
        (&[], &["spiffe.example.org"], "401", "401"),
    ] {
        let identity = clients.caller_pem(uris, dns);
        for version in ["--http1.1", "--http2"] {
            let found = (
                with_certificate(&sidekey, &pki, &identity, version, "/crm/x").await,
                with_certificate(&sidekey, &pki, &identity, version, "/reports/x").await,
            );
            assert_eq!((found.0.as_str(), found.1.as_str()), (crm, reports), "{uris:?} {dns:?} {version}");
        }
    }
    // The same names from another CA are none.
    let forged = strangers.caller_pem(&[web], &[]);
    assert_eq!(with_certificate(&sidekey, &pki, &forged, "--http1.1", "/crm/x").await, "000");
}

/// How the second of two handshakes with the same certificate was made, in each version of TLS.
async fn second_handshakes(
    sidekey: &Sidekey,
    pki: &Pki,
    (certificate, key): &(String, String),
) -> Vec<HandshakeKind> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pki.ca_pem().as_bytes()).unwrap()).unwrap();
    let mut kinds = Vec::new();
    for version in [&TLS12, &TLS13] {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut kind = None;
        for _ in 0..2 {
            let wire = TcpStream::connect(sidekey.address()).await.unwrap();
            let name = ServerName::try_from("localhost").unwrap();
            let mut stream = connector.connect(name, wire).await.unwrap();
            let request = "GET /crm/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
            assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", answer.escape_ascii());
            kind = stream.get_ref().1.handshake_kind();
        }
        kinds.extend(kind);
    }
    kinds
}

#[tokio::test]
async fn session_with_a_client_certificate_is_not_resumed() {
    let upstream = MockUpstream::plain().await;
    let (pki, clients) = (Pki::new(), Pki::named("clients"));
    let identity = clients.caller_pem(&[], &["a.apps.example.org"]);
    let callers = "callers: { local: { certificate: { dns: '*.apps.example.org' } } }";
    let sidekey = demanding(&upstream, &pki, &clients, callers).await;
    assert_eq!(
        second_handshakes(&sidekey, &pki, &identity).await,
        [HandshakeKind::Full, HandshakeKind::Full]
    );
    // Without client certificates nothing depends on that.
    let files = pki.server_files(&["localhost"]);
    let listen = "{ address: '127.0.0.1:0', tls: { cert_file: $DIR/cert.pem, key_file: $DIR/key.pem } }";
    let open = Sidekey::configured(&configuration(&upstream, "", listen))
        .file("cert.pem", &std::fs::read_to_string(files.certificate).unwrap())
        .file("key.pem", &std::fs::read_to_string(files.key).unwrap())
        .start()
        .await;
    assert_eq!(
        second_handshakes(&open, &pki, &identity).await,
        [HandshakeKind::Resumed, HandshakeKind::Resumed]
    );
}
