//! All providers in one server. It has a certificate for all of their hosts, and is reached by the forward proxy that the services
//! have in the tests, so that the names in the services stay those of the providers.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use parking_lot::Mutex;
use rcgen::{KeyPair, PublicKeyData as _};
use ring::signature::KeyPair as _;
use rustls::pki_types::{PrivatePkcs1KeyDer, pem::PemObject as _};
use serde_json::{Value, json};

use super::providers;
use super::rules::{Provider, PublicKeys};
use crate::harness::{MockResponse, MockUpstream, Pki, RecordedRequest, Tunnels, openssl};

/// The body of a response to a request that keeps all rules.
pub const ACCEPTED: &str = "accepted";

/// The server, and the way to it. It stops when dropped.
pub struct Fake {
    pki: Pki,
    tunnels: Tunnels,
    _server: MockUpstream,
    key: KeyPair,
    /// A key and another one, in PEM.
    rsa: [String; 2],
    broken: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub async fn start() -> Self {
        let (pki, key) = (Pki::new(), KeyPair::generate().unwrap());
        // As GitHub writes it.
        let rsa = [openssl("genrsa -traditional 2048").await, openssl("genrsa -traditional 2048").await];
        let of_rsa = PrivatePkcs1KeyDer::from_pem_slice(rsa[0].as_bytes()).unwrap();
        let of_rsa = ring::rsa::KeyPair::from_der(of_rsa.secret_pkcs1_der()).unwrap();
        let mut hosts: Vec<_> = providers::all()
            .flat_map(|provider| [Some(provider.host), provider.token.as_ref().map(|token| token.host)])
            .flatten()
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        let server = MockUpstream::tls_with(pki.server(&hosts)).await;
        let broken = Arc::new(Mutex::new(Vec::new()));
        let keys = PublicKeys { ec: key.der_bytes().to_vec(), rsa: of_rsa.public_key().as_ref().to_vec() };
        let found = broken.clone();
        server.respond_with(move |request| {
            let (response, why) = answer(request, &keys);
            found.lock().extend(why);
            response
        });
        let tunnels = Tunnels::to(server.address(), Tunnels::OPEN).await;
        Self { pki, tunnels, _server: server, key, rsa, broken }
    }

    /// The keys of a service, or of its `auth`, that lead here.
    pub fn way(&self) -> [(&'static str, Value); 2] {
        [
            ("proxy", json!({ "url": format!("http://{}", self.tunnels.address) })),
            ("tls", json!({ "ca_file": self.pki.ca_file() })),
        ]
    }

    /// The private key that signed parameters must be signed with, in PEM.
    pub fn private_key(&self) -> String {
        self.key.serialize_pem()
    }

    /// The RSA key that tokens of an app must be signed with, and another one.
    pub fn rsa_keys(&self) -> [&str; 2] {
        self.rsa.each_ref().map(String::as_str)
    }

    /// What broke a rule since the last call.
    pub fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut self.broken.lock())
    }
}

/// The response, and why it rejects the request if it does.
fn answer(request: &RecordedRequest, keys: &PublicKeys) -> (MockResponse, Option<String>) {
    let host = request.header("host").unwrap_or_default();
    assert_eq!(request.server_name.as_deref(), Some(host), "TLS is for the same host");
    let path = request.path();
    for provider in providers::all() {
        if let Some(token) = &provider.token {
            if let Some(issuer) = token.issuer
                && format!("https://{host}{path}") == format!("{issuer}/.well-known/openid-configuration")
            {
                let endpoint = format!("https://{}{}", token.host, token.path);
                return (MockResponse::json(&json!({ "issuer": issuer, "token_endpoint": endpoint })), None);
            }
            if (token.host, token.path) == (host, path) {
                return match token.broken_by(request, keys) {
                    None => (of_json((200, token.issues)), None),
                    Some(why) => (of_json(token.rejects), Some(format!("{}, token: {why}", provider.id))),
                };
            }
        }
        if let Some(app) = provider.app.as_ref().filter(|_| provider.host == host)
            && (app.lookup == path || app.tokens == path)
        {
            let answer = match (app.broken_by(request, keys), app.lookup == path) {
                (Some(why), _) => {
                    return (of_json(provider.rejects), Some(format!("{}, app: {why}", provider.id)));
                }
                (None, true) => MockResponse::json(&json!({ "id": 4711 })),
                (None, false) => {
                    let end = DateTime::<Utc>::from(SystemTime::now() + Duration::from_secs(3600));
                    let issued = json!({ "token": app.issues, "expires_at": end.to_rfc3339_opts(SecondsFormat::Secs, true) });
                    of_json((201, &issued.to_string()))
                }
            };
            return (answer, None);
        }
        if provider.host == host && provider.target.split('?').next() == Some(path) {
            return at_upstream(provider, request, keys);
        }
    }
    (MockResponse::status(404), Some(format!("no provider has https://{host}{}", request.target)))
}

fn at_upstream(
    provider: &Provider,
    request: &RecordedRequest,
    keys: &PublicKeys,
) -> (MockResponse, Option<String>) {
    let mut broken: Vec<_> = provider.rules.iter().filter_map(|rule| rule.broken_by(request, keys)).collect();
    if (request.method.as_str(), request.target.as_str()) != (provider.method, provider.target) {
        broken.push(format!(
            "{} {}, not {} {}",
            request.method, request.target, provider.method, provider.target
        ));
    }
    if broken.is_empty() {
        return (MockResponse::ok(ACCEPTED), None);
    }
    (of_json(provider.rejects), Some(format!("{}: {}", provider.id, broken.join("; "))))
}

fn of_json((status, body): (u16, &str)) -> MockResponse {
    MockResponse::status(status).body(body).header("Content-Type", "application/json")
}
