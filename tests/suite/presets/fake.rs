//! All providers in one server. It has a certificate for all of their hosts, and is reached by the forward proxy that the services
//! have in the tests, so that the names in the services stay those of the providers.

use std::sync::Arc;

use parking_lot::Mutex;
use rcgen::{KeyPair, PublicKeyData as _};
use serde_json::{Value, json};

use super::providers;
use super::rules::Provider;
use crate::harness::{MockResponse, MockUpstream, Pki, RecordedRequest, Tunnels};

/// The body of a response to a request that keeps all rules.
pub const ACCEPTED: &str = "accepted";

/// The server, and the way to it. It stops when dropped.
pub struct Fake {
    pki: Pki,
    tunnels: Tunnels,
    _server: MockUpstream,
    key: KeyPair,
    broken: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    pub async fn start() -> Self {
        let (pki, key) = (Pki::new(), KeyPair::generate().unwrap());
        let mut hosts: Vec<_> = providers::all()
            .flat_map(|provider| [Some(provider.host), provider.token.as_ref().map(|token| token.host)])
            .flatten()
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        let server = MockUpstream::tls_with(pki.server(&hosts)).await;
        let broken = Arc::new(Mutex::new(Vec::new()));
        let (public, found) = (key.der_bytes().to_vec(), broken.clone());
        server.respond_with(move |request| {
            let (response, why) = answer(request, &public);
            found.lock().extend(why);
            response
        });
        let tunnels = Tunnels::to(server.address(), Tunnels::OPEN).await;
        Self { pki, tunnels, _server: server, key, broken }
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

    /// What broke a rule since the last call.
    pub fn take_broken(&self) -> Vec<String> {
        std::mem::take(&mut self.broken.lock())
    }
}

/// The response, and why it rejects the request if it does.
fn answer(request: &RecordedRequest, key: &[u8]) -> (MockResponse, Option<String>) {
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
                return match token.broken_by(request, key) {
                    None => (of_json((200, token.issues)), None),
                    Some(why) => (of_json(token.rejects), Some(format!("{}, token: {why}", provider.id))),
                };
            }
        }
        if provider.host == host && provider.target.split('?').next() == Some(path) {
            return at_upstream(provider, request, key);
        }
    }
    (MockResponse::status(404), Some(format!("no provider has https://{host}{}", request.target)))
}

fn at_upstream(provider: &Provider, request: &RecordedRequest, key: &[u8]) -> (MockResponse, Option<String>) {
    let mut broken: Vec<_> = provider.rules.iter().filter_map(|rule| rule.broken_by(request, key)).collect();
    if (request.method.as_str(), request.target.as_str()) != ("GET", provider.target) {
        broken.push(format!("{} {}, not GET {}", request.method, request.target, provider.target));
    }
    if broken.is_empty() {
        return (MockResponse::ok(ACCEPTED), None);
    }
    (of_json(provider.rejects), Some(format!("{}: {}", provider.id, broken.join("; "))))
}

fn of_json((status, body): (u16, &str)) -> MockResponse {
    MockResponse::status(status).body(body).header("Content-Type", "application/json")
}
