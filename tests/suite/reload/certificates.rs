//! Certificate files of every kind are replaced under load, in every style of update: no request fails, and
//! unusable files are reported and not used.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use crate::harness::{
    MockResponse, MockUpstream, Pki, Request, SecretMount, Sidekey, TIMEOUT, UpdateStyle, assert_eventually,
};
use crate::suite::ingress::setup::ca_for;

const TOTAL: &str = "sidekey_certificate_reload_total";
const GOOD: &str = "sidekey_certificate_last_reload_successful";

/// A caller that makes a new connection for each request.
#[derive(Clone)]
struct Caller {
    address: SocketAddr,
    /// The authority of a CONNECT that is sent first.
    connect: Option<String>,
    /// TLS to this name.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    request: String,
    /// The certificate chain of the latest connection.
    shown: Arc<Mutex<Vec<CertificateDer<'static>>>>,
}

impl Caller {
    fn new(address: SocketAddr, path: &str) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        Self { address, connect: None, tls: None, request, shown: Arc::default() }
    }

    fn over_tls(self, roots: &[&str]) -> Self {
        let mut store = RootCertStore::empty();
        for pem in roots {
            store.add(der(pem)).unwrap();
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(store);
        let mut config = config.with_no_client_auth();
        // A resumed session would not show the current certificate.
        config.resumption = rustls::client::Resumption::disabled();
        let name = ServerName::try_from("localhost").unwrap();
        Self { tls: Some((TlsConnector::from(Arc::new(config)), name)), ..self }
    }

    async fn call(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        if let Some(authority) = &self.connect {
            stream
                .write_all(format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").as_bytes())
                .await?;
            let mut head = BufReader::with_capacity(1, &mut stream);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if head.read_line(&mut line).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
        }
        let mut answer = Vec::new();
        if let Some((connector, name)) = &self.tls {
            let mut stream = connector.connect(name.clone(), stream).await?;
            let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
            *self.shown.lock() = chain.iter().map(|one| one.clone().into_owned()).collect();
            stream.write_all(self.request.as_bytes()).await?;
            stream.read_to_end(&mut answer).await?;
        } else {
            stream.write_all(self.request.as_bytes()).await?;
            stream.read_to_end(&mut answer).await?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// Callers that send requests until they are stopped.
struct Load {
    callers: Vec<JoinHandle<Vec<String>>>,
    stop: Arc<AtomicBool>,
    counts: Vec<Arc<AtomicUsize>>,
}

impl Load {
    fn start(callers: &[Caller]) -> Self {
        let (stop, mut counts) = (Arc::new(AtomicBool::new(false)), Vec::new());
        let start = |caller: &Caller| {
            let (caller, stop, count) = (caller.clone(), stop.clone(), Arc::new(AtomicUsize::new(0)));
            counts.push(count.clone());
            tokio::spawn(async move {
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) && failures.len() < 10 {
                    match tokio::time::timeout(TIMEOUT, caller.call()).await {
                        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200 ") => {
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                        other => failures.push(format!("{:?}: {other:?}", caller.request)),
                    }
                }
                failures
            })
        };
        let callers = callers.iter().map(start).collect();
        Self { callers, stop, counts }
    }

    /// Waits until every caller has received `more` further responses.
    async fn answers(&self, more: usize) {
        for count in &self.counts {
            let enough = count.load(Ordering::Relaxed) + more;
            assert_eventually(TIMEOUT, "requests are answered", async || {
                count.load(Ordering::Relaxed) >= enough || self.callers.iter().any(JoinHandle::is_finished)
            })
            .await;
        }
    }

    async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        for caller in self.callers {
            failures.extend(caller.await.unwrap());
        }
        failures
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn pem_files(pki: &Pki) -> (String, String) {
    let files = pki.server_files(&["localhost"]);
    (fs::read_to_string(files.certificate).unwrap(), fs::read_to_string(files.key).unwrap())
}

/// Replaces the listener's certificate, the upstream's CA, the client certificate, and the CA of
/// interception.
async fn replace_all_kinds_under_load(style: UpdateStyle) {
    let names = &["localhost", "127.0.0.1"];
    let (old_ca, new_ca) = (Pki::named("old servers"), Pki::named("new servers"));
    let (old_clients, new_clients) = (Pki::named("old clients"), Pki::named("new clients"));
    let callers_ca = Pki::named("of the listener");
    let ((old_cert, old_key), (new_cert, new_key)) = (pem_files(&callers_ca), pem_files(&callers_ca));
    let (old_client, new_client) = (old_clients.client_pem("me"), new_clients.client_pem("me"));
    let (old_authority, new_authority) = (ca_for("localhost").await, ca_for("localhost").await);
    let mount = SecretMount::new(
        style,
        &[
            ("cert.pem", &old_cert),
            ("key.pem", &old_key),
            ("ca.pem", &old_ca.ca_pem()),
            ("client.pem", &old_client.0),
            ("client.key", &old_client.1),
            ("authority.pem", &old_authority.0),
            ("authority.key", &old_authority.1),
        ],
    );
    let upstream = MockUpstream::tls_with(old_ca.server_for_any(names, &[&old_clients, &new_clients])).await;
    // One TLS handshake for each request.
    upstream.always(MockResponse::ok("ok").header("Connection", "close"));
    let config = format!(
        "listen: [127.0.0.1:0, {{ address: 127.0.0.1:0, tls: {{ cert_file: $M/cert.pem, key_file: $M/key.pem }} }}]
admin: 127.0.0.1:0
reload: {{ interval: 20ms }}
log: {{ level: info, format: json }}
intercept: {{ ca_cert_file: $M/authority.pem, ca_key_file: $M/authority.key }}
services:
  api:
    upstream: https://localhost:{}
    tls: {{ ca_file: $M/ca.pem, cert_file: $M/client.pem, key_file: $M/client.key }}
    auth: {{ type: bearer, token: t0ken }}
",
        upstream.address().port()
    );
    let config = config.replace("$M", mount.path());
    let sidekey = Sidekey::configured(&config).start_ready().await;
    let listening = sidekey.events().into_iter().filter(|event| event["listener.kind"] == "proxy");
    let listeners: Vec<SocketAddr> =
        listening.map(|event| event["listener.address"].as_str().unwrap().parse().unwrap()).collect();
    let over_tls = Caller::new(listeners[1], "/api/x").over_tls(&[&callers_ca.ca_pem()]);
    let authority = format!("localhost:{}", upstream.address().port());
    let intercepted = Caller::new(listeners[0], "/x").over_tls(&[&old_authority.0, &new_authority.0]);
    let intercepted = Caller { connect: Some(authority), ..intercepted };
    let load = Load::start(&[Caller::new(listeners[0], "/api/x"), over_tls.clone(), intercepted.clone()]);
    load.answers(5).await;

    let metric = async |name: &str, result: &str| {
        let labels = [("result", result)];
        sidekey.metric(name, if result.is_empty() { &[] } else { &labels }).await.unwrap()
    };
    let replace = async |files: &[(&str, &str)]| {
        let taken = metric(TOTAL, "success").await;
        let refused = Mutex::new(metric(TOTAL, "failure").await);
        let half = async || {
            let before = *refused.lock();
            assert_eventually(TIMEOUT, &format!("the partial update of {files:?} is detected"), async || {
                metric(TOTAL, "failure").await > before
            })
            .await;
            *refused.lock() = metric(TOTAL, "failure").await;
            assert!(metric(GOOD, "").await < 1.0);
            let services = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
            let failing = &services["config"]["certificates_failing"];
            let error = failing["error"].as_str().unwrap_or_default();
            assert!(error.contains(mount.path()), "{services}");
            assert!(failing["since"].is_string() && services["config"]["failing"].is_null(), "{services}");
            load.answers(3).await;
        };
        mount.replace(files, half).await;
        assert_eventually(TIMEOUT, "the new content is in use", async || {
            metric(TOTAL, "success").await > taken && metric(GOOD, "").await > 0.0
        })
        .await;
        load.answers(3).await;
    };

    // The CA bundle: both CAs, then the server changes its certificate, then the new CA only.
    replace(&[("ca.pem", &(old_ca.ca_pem() + &new_ca.ca_pem()))]).await;
    upstream.change_certificate(new_ca.server_for_any(names, &[&old_clients, &new_clients]));
    load.answers(5).await;
    replace(&[("ca.pem", &new_ca.ca_pem())]).await;
    // The client certificate; after that the upstream accepts no other.
    replace(&[("client.pem", &new_client.0), ("client.key", &new_client.1)]).await;
    upstream.change_certificate(new_ca.server_for(names, &new_clients));
    load.answers(5).await;
    assert_eq!(over_tls.shown.lock()[0], der(&old_cert));
    replace(&[("cert.pem", &new_cert), ("key.pem", &new_key)]).await;
    assert_eq!(over_tls.shown.lock()[0], der(&new_cert));
    assert_eq!(intercepted.shown.lock().last(), Some(&der(&old_authority.0)));
    replace(&[("authority.pem", &new_authority.0), ("authority.key", &new_authority.1)]).await;
    assert_eq!(intercepted.shown.lock().last(), Some(&der(&new_authority.0)));

    let failures = load.stop().await;
    assert!(failures.is_empty(), "{failures:?}\n{}", sidekey.log());
    let services = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
    assert!(services["config"]["certificates_failing"].is_null(), "{services}");
    assert!(metric("sidekey_config_reload_total", "failure").await < 1.0);
    assert_eq!(metric(TOTAL, "failure").await > 0.0, style != UpdateStyle::Symlink, "{}", sidekey.log());
    let keys = [&old_key, &new_key, &new_client.1, &new_authority.1];
    assert!(keys.iter().all(|key| !sidekey.log().contains(key.lines().nth(1).unwrap())));
}

#[tokio::test]
async fn certificates_reload_by_symlink_swap() {
    replace_all_kinds_under_load(UpdateStyle::Symlink).await;
}

#[tokio::test]
async fn certificates_reload_by_rename() {
    replace_all_kinds_under_load(UpdateStyle::Rename).await;
}

#[tokio::test]
async fn certificates_reload_by_truncate_and_write() {
    replace_all_kinds_under_load(UpdateStyle::Truncate).await;
}

/// An error in one file does not block the others.
#[tokio::test]
async fn certificates_reload_despite_other_broken_files() {
    let (one, two) = (Pki::named("one"), Pki::named("two"));
    let (first, second) = (MockUpstream::tls(&one).await, MockUpstream::tls(&one).await);
    let service = |name: &str, upstream: &MockUpstream| {
        format!(
            "  {name}: {{ upstream: '{}', auth: {{ type: bearer, token: t }}, tls: {{ ca_file: $DIR/{name}.pem }} }}\n",
            upstream.url()
        )
    };
    let config = format!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nreload: {{ interval: 20ms }}\nlog: {{ level: info, format: json }}\nservices:\n{}{}",
        service("first", &first),
        service("second", &second)
    );
    let ca = one.ca_pem();
    let sidekey =
        Sidekey::configured(&config).file("first.pem", &ca).file("second.pem", &ca).start_ready().await;
    sidekey.write("first.pem", "half a");
    sidekey.logged_like("certificate reload rejected").await;
    sidekey.reconfigure(&config.replace("services:", "servics:"));
    sidekey.logged_like("configuration reload rejected").await;
    second.change_certificate(two.server(&["localhost", "127.0.0.1"]));
    second.cut_connections();
    sidekey.write("second.pem", &two.ca_pem());
    assert_eventually(TIMEOUT, "the new CA is trusted", async || {
        sidekey.get("/second/x").await.status == 200
    })
    .await;
    assert_eq!(sidekey.get("/first/x").await.status, 200, "its old CA stays in use");
    let services = Request::get(sidekey.admin_url("/api/v1/services")).send().await.json();
    assert!(services["config"]["failing"].is_object(), "{services}");
    assert!(services["config"]["certificates_failing"].is_object(), "{services}");
}
