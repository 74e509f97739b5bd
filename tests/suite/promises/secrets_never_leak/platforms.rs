//! Identities of a platform: what proves them goes to the server that it is for, and is shown nowhere, whatever that server repeats.

use serde_json::{Value, json};

use super::{Canary, assert_none_in, everything_shown};
use crate::harness::{
    MockResponse, MockUpstream, RecordedRequest, Sidekey, TIMEOUT, assert_eventually, openssl,
};

/// A kind: its service, its servers with the canaries that each may get, and the token that the upstream gets.
struct Platform {
    name: &'static str,
    auth: String,
    upstream: MockUpstream,
    token: Canary,
    servers: Vec<(MockUpstream, Vec<Canary>)>,
    /// What a server gave and nobody asked for.
    unwanted: Option<Canary>,
}

/// A server that answers once, and then refuses with all that it was sent.
async fn server(answer: Value, field: &'static str) -> MockUpstream {
    let server = MockUpstream::plain().await;
    server.next(MockResponse::json(&answer).header("Metadata-Flavor", "Google"));
    server.respond_with(move |request| {
        // First what is most secret: a long message is cut.
        let sent = format!("{} {}", request.header("authorization").unwrap_or_default(), request.text());
        let body = match field {
            "error" => json!({ "error": "invalid_request", "error_description": sent, "message": sent }),
            _ => json!({ "error": { "status": "PERMISSION_DENIED", "message": sent } }),
        };
        MockResponse::status(400)
            .body(body.to_string())
            .header("Content-Type", "application/json")
            .header("Metadata-Flavor", "Google")
    });
    server
}

fn text(request: &RecordedRequest) -> String {
    String::from_utf8_lossy(&request.raw_head).into_owned() + &request.text()
}

impl Platform {
    async fn new(
        name: &'static str,
        token: Canary,
        servers: Vec<(MockUpstream, Vec<Canary>)>,
        auth: String,
    ) -> Self {
        Self { name, auth, upstream: MockUpstream::plain().await, token, servers, unwanted: None }
    }

    fn configuration(&self) -> String {
        format!("{}: {{ upstream: '{}', auth: {{ {} }} }}\n", self.name, self.upstream.url(), self.auth)
    }

    fn canaries(&self) -> impl Iterator<Item = &Canary> {
        self.servers.iter().flat_map(|(_, canaries)| canaries).chain([&self.token]).chain(&self.unwanted)
    }
}

/// Each platform, and the files that it has.
async fn platforms() -> (Vec<Platform>, Vec<(&'static str, String)>) {
    let short = |member: &str, token: &Canary| json!({ member: token.value, "expires_in": 2, "token_type": "Bearer" });
    let (workload, token) =
        (Canary::jwt("the workload's token for Entra"), Canary::new("the token of Entra"));
    let entra = server(short("access_token", &token), "error").await;
    let auth = format!(
        "type: azure_workload_identity, scope: api://a/.default, tenant_id: t, client_id: c, token_file: $DIR/workload, \
         authority_host: '{}'",
        entra.url()
    );
    let mut files = vec![("workload", workload.value.clone())];
    let mut all = vec![Platform::new("entra", token, vec![(entra, vec![workload])], auth).await];

    let token = Canary::new("the token of a managed identity");
    let imds = server(short("access_token", &token), "error").await;
    let auth = format!("type: azure_managed_identity, scope: api://a/.default, url: '{}/token'", imds.url());
    all.push(Platform::new("machine", token, vec![(imds, vec![])], auth).await);

    let token = Canary::new("the token of the metadata server");
    let metadata = server(short("access_token", &token), "error").await;
    let auth = format!("type: gcp_metadata, url: '{}'", metadata.url());
    all.push(Platform::new("metadata", token, vec![(metadata, vec![])], auth).await);

    let (subject, federated) =
        (Canary::jwt("the workload's token for Google"), Canary::new("the federated token"));
    let token = Canary::new("the token of a service account");
    let sts = server(short("access_token", &federated), "error").await;
    let iam = server(short("accessToken", &token), "status").await;
    let auth = format!(
        "type: gcp_external_account, credential_file: $DIR/federation.json, token_url: '{}', \
         impersonation_url: '{}/a:generateAccessToken'",
        sts.url(),
        iam.url()
    );
    files.push(("subject", subject.value.clone()));
    let servers = vec![(sts, vec![subject]), (iam, vec![federated])];
    all.push(Platform::new("federation", token, servers, auth).await);

    let token = Canary::new("the token for a key");
    let google = server(short("access_token", &token), "error").await;
    let auth =
        format!("type: gcp_service_account, key_file: $DIR/key.json, token_url: '{}/token'", google.url());
    let pem = openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048").await;
    let key = json!({ "type": "service_account", "client_email": "a@b", "private_key": pem, "private_key_id": "k" });
    files.push(("key.json", key.to_string()));
    all.push(Platform::new("key", token, vec![(google, vec![])], auth).await);

    let token = Canary::jwt("the token of a service account of Kubernetes");
    files.push(("cluster", token.value.clone()));
    all.push(
        Platform::new("cluster", token, vec![], "type: kubernetes, token_file: $DIR/cluster".into()).await,
    );

    let (assertion, token) = (Canary::jwt("a foreign assertion"), Canary::new("an ID token"));
    let unwanted = Canary::new("the access token beside an ID token");
    let answer = json!({ "id_token": token.value, "access_token": unwanted.value, "expires_in": 2 });
    let issuer = server(answer, "error").await;
    let auth = format!(
        "type: oauth2, grant_type: client_credentials, token_url: '{}', client_id: c, auth_method: client_assertion, \
         client_assertion: {{ file: $DIR/assertion }}, token: {{ field: id_token }}",
        issuer.url()
    );
    files.push(("assertion", assertion.value.clone()));
    let issuer = Platform::new("issuer", token, vec![(issuer, vec![assertion])], auth).await;
    all.push(Platform { unwanted: Some(unwanted), ..issuer });
    (all, files)
}

#[tokio::test]
async fn proof_of_a_platform_is_sent_to_its_own_server_only() {
    let (platforms, files) = platforms().await;
    let configuration: String = platforms.iter().map(Platform::configuration).collect();
    let mut builder = Sidekey::serving(&configuration).env("RUST_LOG", "trace");
    for (name, content) in &files {
        builder = builder.file(name, content);
    }
    let federation = json!({
        "type": "external_account", "audience": "//iam.googleapis.com/x", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "credential_source": { "file": builder.dir().join("subject") },
    });
    let sidekey = builder.file("federation.json", &federation.to_string()).start().await;
    for platform in &platforms {
        let path = format!("/{}/v1", platform.name);
        let served = async || sidekey.get(&path).await.status == 200;
        assert_eventually(TIMEOUT, platform.name, served).await;
        platform.upstream.always(MockResponse::status(403).body("no"));
        assert_eq!(sidekey.get(&path).await.status, 403);
    }
    // Every token but one has expired, and its server has refused another one.
    let refused = async || {
        let count = |(server, _): &(MockUpstream, Vec<Canary>)| server.request_count();
        platforms.iter().flat_map(|platform| &platform.servers).map(count).filter(|count| *count >= 2).count()
            >= 6
    };
    assert_eventually(TIMEOUT, "each server refuses a second token", refused).await;

    let canaries: Vec<_> = platforms.iter().flat_map(Platform::canaries).collect();
    for (what, shown) in everything_shown(&sidekey).await {
        assert_none_in(&what, &shown, canaries.iter().copied());
    }
    for platform in &platforms {
        let upstream = (&platform.upstream, vec![&platform.token]);
        let servers = platform.servers.iter().map(|(server, canaries)| (server, canaries.iter().collect()));
        for (host, belonging) in servers.chain([upstream]) {
            let got: String = host.requests().iter().map(text).collect();
            for canary in &belonging {
                assert!(canary.is_in(&got), "{} must have got {}", platform.name, canary.place);
            }
            let foreign = canaries
                .iter()
                .copied()
                .filter(|canary| !belonging.iter().any(|own| std::ptr::eq(*own, *canary)));
            assert_none_in(&format!("a request to a host of {}", platform.name), &got, foreign);
        }
    }
}
