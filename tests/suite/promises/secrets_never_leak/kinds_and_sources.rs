//! Every kind of credential from every source of secrets, in successful and failed requests.

use std::fmt::Write as _;

use serde_json::json;

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, RecordedRequest, Request, Sidekey,
    assert_eventually,
};

const KINDS: [&str; 11] = [
    "basic",
    "digest",
    "signature",
    "bearer",
    "header",
    "query",
    "cookie",
    "aws",
    "login",
    "oauth2-basic",
    "oauth2-post",
];
const SOURCES: [&str; 6] = ["plain", "env", "file", "exec", "vault", "aws_secrets_manager"];

/// One service with its own upstream and token endpoint.
struct Service {
    name: String,
    /// The secret in the configuration.
    secret: Canary,
    /// Its token endpoint and the token that it issues.
    token: Option<(MockTokenEndpoint, Canary)>,
    upstream: MockUpstream,
    /// Members of the token response that were not requested.
    unrequested: Canary,
}

impl Service {
    async fn new(kind: &str, source: &str) -> Self {
        let name = format!("{kind}-{source}");
        let unrequested = Canary::new(format!("the refresh token of {name}"));
        let token = if kind.starts_with("oauth2") || kind == "login" {
            let token = Canary::new(format!("the token of {name}"));
            let endpoint = MockTokenEndpoint::plain().await;
            endpoint.always(MockTokenResponse::json(&json!({
                "access_token": token.value, "token_type": "Bearer", "expires_in": 2,
                "refresh_token": unrequested.value, "id_token": unrequested.value, "scope": "read",
            })));
            Some((endpoint, token))
        } else {
            None
        };
        let (secret, upstream) = (Canary::new(&name), MockUpstream::plain().await);
        if kind == "digest" {
            upstream.respond_with(|request| match request.header("authorization") {
                Some(_) => MockResponse::ok("ok"),
                None => MockResponse::status(401).header(
                    "WWW-Authenticate",
                    "Digest realm=\"a\", nonce=\"b\", qop=\"auth\", algorithm=SHA-256",
                ),
            });
        }
        Self { name, secret, token, upstream, unrequested }
    }

    fn configuration(&self) -> String {
        let Self { name, .. } = self;
        let secret = match name.rsplit_once('-').unwrap().1 {
            "plain" => format!("'{}'", self.secret.value),
            "env" => format!("{{ env: {} }}", self.variable()),
            "exec" => {
                format!("{{ exec: [sh, -c, 'cat $DIR/{name}; cat $DIR/{name} >&2'], refresh_interval: 1s }}")
            }
            "vault" => {
                format!("{{ vault: {{ path: secret/canaries, field: {name}, refresh_interval: 1s }} }}")
            }
            _ => format!("{{ file: $DIR/{name} }}"),
        };
        let endpoint = self.token.as_ref().map(|(endpoint, _)| endpoint.url()).unwrap_or_default();
        let oauth2 = |method: &str| {
            format!(
                "type: oauth2, grant_type: client_credentials, token_url: '{endpoint}', client_id: client, \
                 client_secret: {secret}, auth_method: {method}"
            )
        };
        let auth = match name.rsplit_once('-').unwrap().0 {
            "basic" => format!("type: basic, username: user, password: {secret}"),
            "login" => format!(
                "type: login, login_url: '{endpoint}', login_format: form, fields: {{ password: {secret} }}, \
                 session: 'json:/access_token', lifetime_field: /expires_in"
            ),
            "signature" => format!(
                "type: http_signature, algorithm: hmac-sha256, key: {secret}, components: ['@path', content-digest]"
            ),
            "digest" => format!("type: digest, username: user, password: {secret}"),
            "bearer" => format!("type: bearer, token: {secret}"),
            // The session token is sent; the secret access key is not.
            "aws" => format!(
                "type: aws_sigv4, service: s3, region: eu-west-1, access_key_id: AKIDEXAMPLE, secret_access_key: {secret}, \
                 session_token: {secret}"
            ),
            "oauth2-basic" => oauth2("client_secret_basic"),
            "oauth2-post" => oauth2("client_secret_post"),
            place => format!("type: api_key, in: {place}, name: x-key, value: {secret}"),
        };
        format!("{name}: {{ upstream: '{}', auth: {{ {auth} }} }}\n", self.upstream.url())
    }

    fn variable(&self) -> String {
        self.name.to_uppercase().replace('-', "_")
    }

    /// Hosts that this service talks to, each with the canaries that belong there.
    fn hosts(&self) -> Vec<(&MockUpstream, Vec<&Canary>)> {
        match &self.token {
            // The password, and the key, are not sent.
            None if self.name.starts_with("digest") || self.name.starts_with("signature") => {
                vec![(&self.upstream, vec![])]
            }
            None => vec![(&self.upstream, vec![&self.secret])],
            Some((endpoint, token)) => {
                vec![(&self.upstream, vec![token]), (endpoint.server(), vec![&self.secret])]
            }
        }
    }

    fn canaries(&self) -> impl Iterator<Item = &Canary> {
        [&self.secret, &self.unrequested].into_iter().chain(self.token.as_ref().map(|(_, token)| token))
    }
}

fn received(host: &MockUpstream) -> String {
    let text =
        |request: &RecordedRequest| String::from_utf8_lossy(&request.raw_head).into_owned() + &request.text();
    host.requests().iter().map(text).collect()
}

async fn services() -> Vec<Service> {
    for source in sidekey::credential::SOURCES {
        assert!(SOURCES.contains(&source.name()), "this test has no secret from `{}`", source.name());
    }
    let mut services = Vec::new();
    for kind in KINDS {
        for source in SOURCES {
            services.push(Service::new(kind, source).await);
        }
    }
    services
}

/// A store of secrets with the secret of each service in a field of its name, for this token.
async fn store(services: &[Service], token: &Canary) -> MockUpstream {
    let store = MockUpstream::plain().await;
    let fields: serde_json::Map<_, _> =
        services.iter().map(|service| (service.name.clone(), json!(service.secret.value))).collect();
    let token = token.value.clone();
    let text = json!(fields).to_string();
    store.respond_with(move |request| match request.path() {
        "/" if request.header("x-amz-target").is_some() => {
            MockResponse::json(&json!({ "SecretString": text }))
        }
        _ if request.header("x-vault-token") != Some(&token) => MockResponse::status(403),
        "/v1/secret/canaries" => MockResponse::json(&json!({ "data": fields, "lease_id": "" })),
        "/v1/auth/token/lookup-self" => MockResponse::json(&json!({ "data": { "ttl": 0 } })),
        _ => MockResponse::status(404),
    });
    store
}

#[tokio::test]
async fn secret_is_sent_to_its_own_host_only() {
    let services = services().await;
    let configuration: String = services.iter().map(Service::configuration).collect();
    let store_token = Canary::new("the token of the store");
    let store = store(&services, &store_token).await;
    let stores = format!(
        "secret_stores:\n  vault: {{ type: vault, url: '{0}', login: {{ method: token, token: {{ file: $DIR/store-token }} }} }}\n  \
         aws: {{ type: aws_secrets_manager, region: eu-west-1, url: '{0}', access_key_id: AKIDEXAMPLE, \
         secret_access_key: {{ file: $DIR/store-token }} }}\n",
        store.url()
    );
    let configuration = stores + &Sidekey::configuration_serving(&configuration);
    let mut builder =
        Sidekey::configured(&configuration).env("RUST_LOG", "trace").file("store-token", &store_token.value);
    let mut environment = Vec::new();
    for service in &services {
        builder = builder.file(&service.name, &format!("{}\n", service.secret.value));
        environment.push((service.variable(), service.secret.value.clone()));
    }
    for (name, value) in &environment {
        builder = builder.env(name, value);
    }
    let sidekey = builder.start_ready().await;

    let mut answers = String::new();
    for service in &services {
        let own = Canary::new(format!("a caller of {}", service.name));
        let path = format!("/{}/v1/things", service.name);
        let ok = sidekey.get(&path).await;
        assert_eq!((ok.status, ok.text().as_str()), (200, "ok"), "{path}");
        for answer in [
            MockResponse::status(401).body("who are you?"),
            MockResponse::status(403),
            MockResponse::raw("no HTTP at all\r\n\r\n"),
            MockResponse::close_unanswered(),
            MockResponse::ok("cut short").cut_at(3),
            MockResponse::reset(),
        ] {
            service.upstream.next(answer);
            let call = Request::post(sidekey.url(&path), "body")
                .header("Authorization", &format!("Bearer {}", own.value));
            if let Ok(response) =
                call.header("X-Key", &own.value).header("Cookie", "x-key=mine").try_send().await
            {
                write!(answers, "{}{}", String::from_utf8_lossy(&response.raw_head), response.text())
                    .unwrap();
            }
        }
        service.upstream.set_accepting(false);
        let failed = sidekey.get(&path).await;
        assert_eq!(failed.status, 502);
        write!(answers, "{}{}", String::from_utf8_lossy(&failed.raw_head), failed.text()).unwrap();
        assert_none_in("the log", &sidekey.log(), [&own]);
    }
    // The first tokens have expired meanwhile, or soon will: refreshes are part of the test.
    let refreshed = async || {
        services
            .iter()
            .filter_map(|service| service.token.as_ref())
            .all(|(endpoint, _)| endpoint.request_count() > 1)
    };
    assert_eventually(std::time::Duration::from_secs(20), "every token is refreshed", refreshed).await;

    // An error of the store that repeats the token.
    let said = json!({ "errors": [format!("no such token: {}", store_token.value)] });
    store.always(MockResponse::status(500).body(said.to_string()));
    let is_stale = async || sidekey.metric("sidekey_stale_secrets", &[]).await > Some(0.0);
    assert_eventually(std::time::Duration::from_secs(20), "the secrets are stale", is_stale).await;

    let canaries: Vec<_> = services.iter().flat_map(Service::canaries).chain([&store_token]).collect();
    assert_none_in("an answer", &answers, canaries.iter().copied());
    for (what, text) in everything_shown(&sidekey).await {
        assert_none_in(&what, &text, canaries.iter().copied());
    }
    for service in &services {
        for (host, belonging) in service.hosts() {
            let text = received(host);
            for canary in &belonging {
                assert!(canary.is_in(&text), "{} must have got its secret", service.name);
            }
            let foreign = canaries
                .iter()
                .copied()
                .filter(|canary| !belonging.iter().any(|own| std::ptr::eq(*own, *canary)));
            assert_none_in(&format!("a request to a host of {}", service.name), &text, foreign);
        }
    }

    let old_url = store.url();
    drop(store);
    let store = self::store(&services, &store_token).await;
    let file = sidekey.dir().join("sidekey.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace(&old_url, &store.url())).unwrap();
    let arguments = ["check", "--config", file.to_str().unwrap()];
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let checked = Sidekey::command(&arguments, &environment).await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    let printed = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(printed.contains("cookie-file") && printed.contains("the secret is in plain text"), "{printed}");
    assert_none_in("`sidekey check`", &printed, canaries.iter().copied());
    // Without the variables the configuration is invalid; the messages contain no secret either.
    let checked = Sidekey::command(&arguments, &[]).await;
    assert_eq!(checked.status.code(), Some(78), "{checked:?}");
    let printed = String::from_utf8_lossy(&[checked.stdout, checked.stderr].concat()).into_owned();
    assert!(printed.contains("12 errors"), "{printed}");
    assert_none_in("`sidekey check` of a broken file", &printed, canaries.iter().copied());
}
