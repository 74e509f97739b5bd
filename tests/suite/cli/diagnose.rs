//! `sidekey test`: its report, its explanations, and the secrets it never prints.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::harness::{
    MockResponse, MockTokenEndpoint, MockTokenResponse, MockUpstream, Pki, RefusingPort, Sidekey,
};

/// Runs `sidekey test` with this configuration; returns the exit code and everything it prints.
async fn tested(services: &str, arguments: &[&str]) -> (i32, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("services.yaml");
    std::fs::write(&file, format!("services:\n  {services}\n")).unwrap();
    let all = [&["test", "--config", file.to_str().unwrap()], arguments].concat();
    let output = Sidekey::command(&all, &[("RUST_LOG", "trace")]).await;
    let printed = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().expect("an exit code"), printed)
}

fn oauth2(upstream: &str, endpoint: &MockTokenEndpoint) -> String {
    format!(
        "api: {{ upstream: '{upstream}/v2', auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: me, client_secret: s3cret-CANARY }} }}",
        endpoint.url()
    )
}

#[tokio::test]
async fn diagnose_success_shows_public_token_claims() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let claims =
        json!({ "iss": "https://login.example", "aud": "api", "exp": 4_000_000_000_u64, "sub": "alice" });
    let token = format!("e30.{}.CANARY", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    endpoint.always(MockTokenResponse::json(
        &json!({ "access_token": token, "expires_in": 3600, "scope": "read" }),
    ));
    let services = oauth2(&upstream.url(), &endpoint);
    let (code, printed) = tested(&services, &["api", "/contacts?limit=1"]).await;
    assert_eq!(code, 0, "{printed}");
    for said in [
        &format!("GET {}/v2/contacts\n", upstream.url()),
        " s left of 3599, scope read",
        "iss: https://login.example",
        "aud: api",
        "exp: 4000000000 (Tue, 02 Oct 2096",
        "It works: the upstream answered 200.",
    ] {
        assert!(printed.contains(said), "{said}: {printed}");
    }
    let left = printed.split("Bearer, ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert!((3500..=3599).contains(&left.parse::<u32>().unwrap()), "{printed}");
    assert!(!printed.contains("CANARY") && !printed.contains("alice"), "{printed}");
    let request = upstream.only_request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/v2/contacts?limit=1"));
    assert_eq!(request.header("authorization"), Some(format!("Bearer {token}").as_str()));
    assert_eq!(endpoint.request_count(), 1);

    let (code, printed) = tested(&services, &["--json", "api"]).await;
    let report: Value = serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{printed}"));
    assert_eq!((code, &report["ok"], &report["status"]), (0, &json!(true), &json!(200)));
    assert_eq!(report["token"]["claims"]["aud"], "api");
    assert!(!printed.contains("CANARY"), "{printed}");
}

#[tokio::test]
async fn diagnose_explains_each_status_without_response_text() {
    let upstream = MockUpstream::plain().await;
    for (status, said) in [
        (301, "a redirect"),
        (400, "could not understand the request"),
        (401, "rejects this credential"),
        (403, "does not allow the request, or does not accept the credential"),
        (404, "nothing at this path"),
        (405, "does not accept GET"),
        (429, "too many requests"),
        (503, "has an internal error"),
    ] {
        upstream.next(
            MockResponse::status(status)
                .header("WWW-Authenticate", "Basic realm=\"tok-CANARY\"")
                .header("Location", "https://x.example/?t=CANARY")
                .body("tok-CANARY"),
        );
        let service = format!(
            "mail: {{ upstream: '{}', auth: {{ type: bearer, token: tok-CANARY }} }}",
            upstream.url()
        );
        let (code, printed) = tested(&service, &["mail"]).await;
        assert_eq!(code, i32::from(status >= 400), "{printed}");
        assert!(printed.contains(said) && printed.contains(&format!("answer      {status} ")), "{printed}");
        assert!(!printed.contains("CANARY"), "{printed}");
        assert_eq!(
            status == 401,
            printed.contains("The upstream asks for Basic, and this service sends Bearer")
        );
    }
}

#[tokio::test]
async fn diagnose_hides_api_key_in_query() {
    let upstream = MockUpstream::plain().await;
    let service = format!(
        "maps: {{ upstream: '{}', auth: {{ type: api_key, in: query, name: key, value: CANARY }} }}",
        upstream.url()
    );
    let (code, printed) = tested(&service, &["maps", "/v1?q=1"]).await;
    assert_eq!((code, printed.contains("CANARY")), (0, false), "{printed}");
    assert_eq!(upstream.only_request().target, "/v1?q=1&key=CANARY");
}

#[tokio::test]
async fn diagnose_without_token_does_not_call_upstream() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.always(MockTokenResponse::error(401, "invalid_client"));
    let (code, printed) = tested(&oauth2(&upstream.url(), &endpoint), &["api"]).await;
    assert_eq!(code, 1, "{printed}");
    assert!(
        printed.contains("No token, so the upstream was not called: the token endpoint answered 401"),
        "{printed}"
    );
    assert!(
        printed.contains("`auth_method: client_secret_post`") && printed.contains("compare `client_id`"),
        "{printed}"
    );
    assert_eq!(
        (upstream.request_count(), endpoint.request_count()),
        (0, 1),
        "and there is one token request"
    );
}

#[tokio::test]
async fn diagnose_explains_connection_failures() {
    let (pki, port) = (Pki::new(), RefusingPort::new());
    let upstream = MockUpstream::tls(&pki).await;
    // As servers do that expect HTTP and receive TLS.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = plain.accept().await {
            let _ = connection.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _ = connection.read(&mut [0; 4096]).await;
        }
    });
    for (url, said) in [
        (upstream.url(), "tls: { ca_file: PATH }"),
        (format!("https://{plain_address}"), "does not speak TLS"),
        (format!("http://{}", port.address), "No server accepts connections there"),
        ("https://no-such-host.invalid".into(), "does not resolve"),
    ] {
        let service = format!("mail: {{ upstream: '{url}', auth: {{ type: bearer, token: CANARY }} }}");
        let (code, printed) = tested(&service, &["mail"]).await;
        assert_eq!(code, 1, "{printed}");
        assert!(printed.contains(said) && printed.contains("The upstream was not reached: "), "{printed}");
        assert!(!printed.contains("CANARY"), "{printed}");
    }
}

#[tokio::test]
async fn diagnose_usage_errors_exit_with_64() {
    let upstream = MockUpstream::plain().await;
    let service = format!("mail: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    let endpoint = MockTokenEndpoint::plain().await;
    let seed = format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: refresh_token, token_url: '{}', client_id: me, \
         refresh_token: CANARY }} }}",
        upstream.url(),
        endpoint.url()
    );
    for (services, arguments, said) in [
        (&service, &["nail"][..], "has no service `nail`; it has mail"),
        (&service, &["mail", "no-slash"], "PATH must begin with `/`"),
        (&service, &["mail", "/a b"], "PATH must begin with `/`"),
        (&service, &[], "Usage: sidekey test"),
        (&seed, &["api"], "might use up its refresh token"),
    ] {
        let (code, printed) = tested(services, arguments).await;
        assert_eq!(code, 64, "{printed}");
        assert!(printed.contains(said) && !printed.contains("CANARY"), "{printed}");
    }
    assert_eq!((upstream.request_count(), endpoint.request_count()), (0, 0));
}

#[tokio::test]
async fn diagnose_all_tests_every_service_and_fails_if_one_does_not_work() {
    let upstream = MockUpstream::plain().await;
    let port = RefusingPort::new();
    let services = format!(
        "good: {{ upstream: '{}', auth: {{ type: bearer, token: CANARY }} }}\n  \
         bad: {{ upstream: 'http://{}', auth: {{ type: bearer, token: CANARY }} }}",
        upstream.url(),
        port.address
    );
    let (code, printed) = tested(&services, &["--all"]).await;
    assert!(code == 1 && printed.contains("It works") && printed.contains("was not reached"), "{printed}");
    let (code, printed) = tested(&services, &["--all", "--json"]).await;
    let reports: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((code, &reports[0]["ok"], &reports[1]["ok"]), (1, &json!(true), &json!(false)));
    assert!(!printed.contains("CANARY"));
    let only_good = services.lines().next().unwrap();
    assert_eq!(tested(only_good, &["--all"]).await.0, 0);
    assert_eq!(tested(only_good, &["--all", "good"]).await.0, 64);
}

#[tokio::test]
async fn diagnose_answers_digest_and_explains_what_it_cannot() {
    for (challenge, more, code, expected) in [
        ("Digest realm=\"r\", nonce=\"n\", qop=\"auth\"", "", 0, "It works"),
        ("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"", "", 1, "which is not supported"),
        (
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"",
            ", realm: s",
            1,
            "written exactly as in `WWW-Authenticate`",
        ),
        ("Basic realm=\"r\"", "", 1, "asks for Basic, and this service sends Digest"),
    ] {
        let upstream = MockUpstream::plain().await;
        let asked = MockResponse::status(401).header("WWW-Authenticate", challenge);
        upstream.respond_with(move |request| match request.header("authorization") {
            Some(_) => MockResponse::ok("ok"),
            None => asked.clone(),
        });
        let services = format!(
            "api: {{ upstream: '{}', auth: {{ type: digest, username: u, password: CANARY{more} }} }}",
            upstream.url()
        );
        let (exit, printed) = tested(&services, &["api", "/x"]).await;
        assert!(exit == code && printed.contains(expected), "{challenge}{more}: {printed}");
        assert!(!printed.contains("CANARY"), "{printed}");
    }
}

/// A key of AWS for S3 at this upstream.
fn s3(upstream: &MockUpstream) -> String {
    format!(
        "s3: {{ upstream: '{}', auth: {{ type: aws_sigv4, service: s3, region: eu-west-1, access_key_id: AKIDCANARY, \
         secret_access_key: CANARY }} }}",
        upstream.url()
    )
}

#[tokio::test]
async fn diagnose_names_the_error_of_the_response_first() {
    let upstream = MockUpstream::plain().await;
    for (status, body, said) in [
        (
            403,
            "<Error><Code>SignatureDoesNotMatch</Code><AWSAccessKeyId>CANARY</AWSAccessKeyId></Error>",
            "SignatureDoesNotMatch",
        ),
        (403, "<Error><Code>InvalidAccessKeyId</Code></Error>", "InvalidAccessKeyId"),
        (
            400,
            "<Code>AuthorizationHeaderMalformed</Code><Region>CANARY</Region>",
            "AuthorizationHeaderMalformed",
        ),
        (301, "<Code>PermanentRedirect</Code><Endpoint>CANARY</Endpoint>", "PermanentRedirect"),
        (400, "{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\"}", "ExpiredTokenException"),
    ] {
        upstream.next(MockResponse::status(status).header("Location", "/").body(body));
        let (code, printed) = tested(&s3(&upstream), &["s3", "/bucket"]).await;
        let first = printed.lines().find(|line| line.starts_with("  - ")).unwrap_or_default();
        assert!(first.starts_with(&format!("  - The response says `{said}`: ")), "{status}: {printed}");
        assert_eq!((code != 0, printed.contains("CANARY")), (status >= 400, false), "{printed}");
    }
    // What is not on the list is not shown, and a body that does not end holds nothing up for long.
    let endless = "HTTP/1.1 403 Forbidden\r\nContent-Length: 99\r\n\r\n<Code>CANARY</Code>";
    upstream.next(MockResponse::raw(endless).then_hang());
    let (_, printed) = tested(&s3(&upstream), &["s3", "/bucket"]).await;
    assert!(!printed.contains("The response says") && !printed.contains("CANARY"), "{printed}");
}

#[tokio::test]
async fn diagnose_compares_the_clock_with_that_of_the_upstream() {
    const CLOCK: &str = "that of the upstream, so that signatures and tokens may be rejected";
    let upstream = MockUpstream::plain().await;
    let service = format!(
        "mail: {{ upstream: '{}', auth: {{ type: jwt, secret: CANARY-CANARY-CANARY-CANARY }} }}",
        upstream.url()
    );
    let date = "Sun, 30 Aug 2015 12:36:00 GMT";
    for (status, headers, is_said) in [
        (401, &[("Date", date)][..], true),
        (403, &[("Date", date)], true),
        // Of another request, from a cache.
        (401, &[("Date", date), ("Age", "7")], false),
        (401, &[("Date", "yesterday")], false),
        (404, &[("Date", date)], false),
        (200, &[("Date", date)], false),
    ] {
        let response = MockResponse::status(status);
        upstream.next(headers.iter().fold(response, |response, (name, value)| response.header(name, value)));
        let (_, printed) = tested(&service, &["mail"]).await;
        assert_eq!(printed.contains(CLOCK), is_said, "{status} {headers:?}: {printed}");
        assert!(!is_said || printed.contains("s ahead of that"), "{printed}");
    }
}
