//! An upstream with a wildcard: the caller names the host, one label below a fixed suffix, and gets no further.

use crate::harness::{
    Curl, MockHttp2Upstream, MockResponse, MockUpstream, Pki, Request, Sidekey, SidekeyBuilder, TIMEOUT,
    assert_eventually,
};
use crate::suite::http::setup::{Wire, wait_until_idle};
use crate::suite::ingress::setup;
use crate::suite::ingress::setup::{ca_for, connect, handshake};

/// A service `api` at `*.s3.example.com`, whose hosts are all this server.
fn service(upstream: &MockUpstream, pki: &Pki, more: &str) -> SidekeyBuilder {
    Sidekey::serving(&entry(upstream.address().port(), pki, more))
}

fn entry(port: u16, pki: &Pki, more: &str) -> String {
    format!(
        "api: {{ upstream: 'https://*.s3.example.com:{port}', resolve: 127.0.0.1, tls: {{ ca_file: '{}' }}, \
         auth: {{ type: bearer, token: t0ken }}{more} }}\n",
        pki.ca_file()
    )
}

async fn upstream(pki: &Pki) -> MockUpstream {
    MockUpstream::tls_with(pki.server(&["*.s3.example.com"])).await
}

/// The status and the body of a request of these bytes.
async fn ask(sidekey: &Sidekey, target: &str, host: &str) -> (u16, String) {
    let mut wire = Wire::to(sidekey).await;
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await;
    let answer = wire.rest().await;
    (answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
}

#[tokio::test]
async fn each_host_has_its_own_name_and_connections() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let sidekey = service(&upstream, &pki, "").start().await;
    for (count, (host, called)) in [
        ("one.s3.example.com", "one.s3.example.com"),
        ("two.s3.example.com", "two.s3.example.com"),
        ("one.s3.example.com", "ONE.s3.Example.com."),
        ("xn--bcher-kva.s3.example.com", "xn--bcher-kva.s3.example.com"),
    ]
    .into_iter()
    .enumerate()
    {
        let port = upstream.address().port();
        let (status, _) = ask(&sidekey, &format!("http://{called}:{port}/k?x=1"), called).await;
        assert_eq!(status, 200, "{called}");
        wait_until_idle(&sidekey).await;
        assert_eq!(upstream.request_count(), count + 1);
        let seen = upstream.last_request();
        assert_eq!(seen.server_name.as_deref(), Some(host));
        assert_eq!(seen.header("host"), Some(format!("{host}:{port}").as_str()));
        assert_eq!((seen.header("authorization"), seen.target.as_str()), (Some("Bearer t0ken"), "/k?x=1"));
    }
    let requests = upstream.requests();
    assert_ne!(requests[0].connection, requests[1].connection, "a connection is for one host");
    let metrics = sidekey.metrics().await;
    assert!(!metrics.contains("s3.example.com"), "no series for a host");
}

#[tokio::test]
async fn request_that_names_no_host_is_told_how() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let more = ", listen: 127.0.0.1:0, hosts: ['*.s3.internal', s3.internal, '*.s3.example.com']";
    let sidekey = service(&upstream, &pki, more).start().await;
    let own = sidekey.service_url("api", "/k");
    let nowhere = [sidekey.get("/api/k").await, Request::get(&own).send().await];
    for answer in nowhere {
        assert_eq!(answer.status, 400);
        assert_eq!(answer.sidekey_error(), Some("bad_request"));
        assert!(answer.text().contains("names none of its hosts"), "{}", answer.text());
    }
    assert_eq!(ask(&sidekey, "/k", "s3.internal").await.0, 400);
    assert_eq!(upstream.request_count(), 0);
    assert_eq!(ask(&sidekey, "/k", "one.s3.internal").await.0, 200, "the label of a wildcard in `hosts`");
    assert_eq!(upstream.last_request().server_name.as_deref(), Some("one.s3.example.com"));
    for host in ["two.s3.internal", "two.s3.example.com"] {
        let host = format!("Host: {host}");
        let answer = Curl::call(&["-H", &host, &own], b"").await;
        assert_eq!(answer.status, 200, "{host}");
        assert_eq!(upstream.last_request().server_name.as_deref(), Some("two.s3.example.com"));
    }
    assert_eq!(ask(&sidekey, "/k", "a.b.s3.internal").await.0, 403);
}

#[tokio::test]
async fn credential_goes_to_no_other_host() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let sidekey = service(&upstream, &pki, ", hosts: ['*.s3.internal']").start().await;
    let port = upstream.address().port();
    let long = "a".repeat(64);
    let hosts = [
        "s3.example.com",
        ".s3.example.com",
        "a.b.s3.example.com",
        "evil.com#.s3.example.com",
        "evil.com/.s3.example.com",
        "evil.com?.s3.example.com",
        "evil.com\\.s3.example.com",
        "evil.com%23.s3.example.com",
        "evil.com%2f.s3.example.com",
        "me@one.s3.example.com",
        "one.s3.example.com@evil.com",
        "[::1].s3.example.com",
        "[::1]",
        "127.0.0.1",
        "xn--.s3.example.com",
        "xn--a.s3.example.com",
        "*.s3.example.com",
        "one.s3.example.com.evil.com",
        "ones3.example.com",
        "-.s3.example.com",
        "-one.s3.example.com",
        "one..s3.example.com",
        "one.s3.example.com..",
        "one\0.s3.example.com",
        "one .s3.example.com",
        &format!("{long}.s3.example.com"),
    ];
    for host in hosts {
        for authority in [host.to_owned(), format!("{host}:{port}"), format!("{host}:443")] {
            let (status, answer) = ask(&sidekey, &format!("http://{authority}/k"), &authority).await;
            assert!(matches!(status, 400 | 403 | 404), "{authority}: {answer}");
            let (status, answer) = ask(&sidekey, "/k", &host.replace("example.com", "internal")).await;
            assert!(matches!(status, 400 | 403 | 404), "{host}: {answer}");
            let mut wire = Wire::to(&sidekey).await;
            wire.send(format!(
                "CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            ))
            .await;
            let head = wire.until("\r\n\r\n").await;
            assert!(!head.starts_with("HTTP/1.1 2"), "{host}: {head}");
        }
    }
    for other_port in ["1", "8443"] {
        let authority = format!("one.s3.example.com:{other_port}");
        assert_eq!(ask(&sidekey, &format!("http://{authority}/k"), &authority).await.0, 404);
    }
    // Host and target name different hosts of the wildcard.
    let (status, answer) = ask(&sidekey, "http://one.s3.example.com/k", "two.s3.example.com").await;
    assert_eq!(status, 403, "{answer}");
    assert_eq!(upstream.request_count(), 0);
}

#[tokio::test]
async fn host_must_prove_its_own_name() {
    let pki = Pki::new();
    let upstream = MockUpstream::tls_with(pki.server(&["one.s3.example.com"])).await;
    let sidekey = service(&upstream, &pki, "").start().await;
    assert_eq!(ask(&sidekey, "http://one.s3.example.com/k", "one.s3.example.com").await.0, 200);
    let (status, answer) = ask(&sidekey, "http://two.s3.example.com/k", "two.s3.example.com").await;
    assert!(status == 502 && answer.contains("upstream_tls"), "{answer}");
    assert_eq!(upstream.request_count(), 1);
}

#[tokio::test]
async fn connect_to_a_host_of_a_wildcard_is_intercepted() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let (cert, key) = ca_for("*.s3.example.com").await;
    let config = format!(
        "intercept: {{ ca_cert_file: $DIR/ca.crt, ca_key_file: $DIR/ca.key }}\n{}",
        Sidekey::configuration_serving(&entry(upstream.address().port(), &pki, ""))
    );
    let sidekey = Sidekey::configured(&config).file("ca.crt", &cert).file("ca.key", &key).start().await;
    assert!(!sidekey.log().contains("name constraints"), "{}", sidekey.log());
    let port = upstream.address().port();
    let (proxy, ca) = (sidekey.url(""), sidekey.dir().join("ca.crt"));
    for host in ["one", "two"] {
        let url = format!("https://{host}.s3.example.com:{port}/k");
        let options = ["--noproxy", "", "--proxy", &proxy, "--cacert", ca.to_str().unwrap(), &url];
        let answer = Curl::call(&options, b"").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
        let seen = upstream.last_request();
        assert_eq!(seen.server_name, Some(format!("{host}.s3.example.com")));
        assert_eq!(seen.header("authorization"), Some("Bearer t0ken"));
    }
    let count = upstream.request_count();
    let own = format!("one.s3.example.com:{port}");
    let (status, wire) = connect(&sidekey, &own).await;
    assert_eq!(status, 200);
    let mut stream = handshake(wire, &cert, "one.s3.example.com").await.unwrap();
    let answer = setup::ask(&mut stream, "/k", &format!("two.s3.example.com:{port}")).await;
    assert!(answer.starts_with("HTTP/1.1 403"), "another host than that of the CONNECT: {answer}");
    let (_, wire) = connect(&sidekey, &own).await;
    assert!(
        handshake(wire, &cert, "a.b.s3.example.com").await.is_err(),
        "a name that is not below the wildcard"
    );
    assert_eq!(upstream.request_count(), count);
}

#[tokio::test]
async fn retry_stays_at_the_host_that_was_named() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let auth = "{ type: bearer, token: new, previous: old }";
    let entry = entry(upstream.address().port(), &pki, "").replace("{ type: bearer, token: t0ken }", auth);
    let sidekey = Sidekey::serving(&entry).start().await;
    upstream.next(MockResponse::status(401));
    assert_eq!(ask(&sidekey, "http://one.s3.example.com/k", "one.s3.example.com").await.0, 200);
    let sent: Vec<_> = upstream
        .requests()
        .iter()
        .map(|seen| (seen.server_name.clone(), seen.header("authorization").map(str::to_owned)))
        .collect();
    let one = Some("one.s3.example.com".to_owned());
    assert_eq!(sent, [(one.clone(), Some("Bearer new".into())), (one, Some("Bearer old".into()))]);
}

#[tokio::test]
async fn redirect_to_another_host_is_passed_on() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let sidekey = service(&upstream, &pki, ", hosts: ['*.s3.internal']").start().await;
    let port = upstream.address().port();
    for (location, expected) in [
        (format!("https://one.s3.example.com:{port}/there"), "Location: /there".to_owned()),
        (
            format!("https://two.s3.example.com:{port}/there"),
            format!("https://two.s3.example.com:{port}/there"),
        ),
    ] {
        upstream.next(MockResponse::status(307).header("Location", &location));
        let (status, answer) = ask(&sidekey, "/here", "one.s3.internal").await;
        assert_eq!(status, 307);
        assert!(answer.contains(&format!("{expected}\r\n")), "{answer}");
    }
    assert_eq!(upstream.request_count(), 2, "no redirect is followed");
}

#[tokio::test]
async fn host_without_an_address_does_not_open_the_breaker() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let port = upstream.address().port();
    let breaker = "circuit_breaker: { consecutive_failures: 2, open_duration: 60s }";
    let by_name = format!(
        "api: {{ upstream: 'http://*.invalid.example:{port}', allow_plaintext: true, {breaker}, auth: {{ type: bearer, token: t0ken }} }}\n"
    );
    let sidekey = Sidekey::serving(&by_name).start().await;
    for number in 0..4 {
        let host = format!("host{number}.invalid.example");
        let (status, answer) = ask(&sidekey, &format!("http://{host}/k"), &host).await;
        assert!(status == 502 && answer.contains("upstream_connect"), "{answer}");
    }
    let sidekey = service(&upstream, &pki, &format!(", {breaker}")).start().await;
    upstream.always(MockResponse::close_unanswered());
    for _ in 0..2 {
        assert_eq!(ask(&sidekey, "http://one.s3.example.com/k", "one.s3.example.com").await.0, 502);
    }
    let (status, answer) = ask(&sidekey, "http://two.s3.example.com/k", "two.s3.example.com").await;
    assert!(status == 503 && answer.contains("overloaded"), "the breaker is that of the service: {answer}");
}

#[tokio::test]
async fn http2_connections_are_for_one_host() {
    let upstream = MockHttp2Upstream::plain().await;
    let services = format!(
        "api: {{ upstream: 'http://*.s3.example.com:{}', allow_plaintext: true, resolve: 127.0.0.1, protocol: http2, \
         auth: {{ type: bearer, token: t }} }}\n",
        upstream.address().port()
    );
    let sidekey = Sidekey::configured(&format!("threads: 1\n{}", Sidekey::configuration_serving(&services)))
        .start()
        .await;
    for host in ["one.s3.example.com", "two.s3.example.com", "one.s3.example.com"] {
        assert_eq!(ask(&sidekey, &format!("http://{host}/k"), host).await.0, 200);
    }
    let hosts: Vec<_> =
        upstream.requests().iter().map(|seen| seen.uri.host().unwrap_or_default().to_owned()).collect();
    assert_eq!(hosts, ["one.s3.example.com", "two.s3.example.com", "one.s3.example.com"]);
    assert_eq!(upstream.connections(), 2);
}

#[tokio::test]
async fn flood_of_hosts_keeps_the_connection_of_another() {
    let upstream = MockUpstream::plain().await;
    let port = upstream.address().port();
    let services = format!(
        "api: {{ upstream: 'http://*.s3.example.com:{port}', allow_plaintext: true, resolve: 127.0.0.1, auth: {{ type: bearer, token: t }} }}\n"
    );
    let config = format!("threads: 1\n{}", Sidekey::configuration_serving(&services));
    let sidekey = Sidekey::configured(&config).start().await;
    let get = async |host: &str| ask(&sidekey, &format!("http://{host}/k"), host).await.0;
    for _ in 0..2 {
        assert_eq!(get("steady.s3.example.com").await, 200);
        wait_until_idle(&sidekey).await;
    }
    let steady = upstream.last_request().connection;
    let mut wire = Wire::to(&sidekey).await;
    for number in 0..1500 {
        let host = format!("flood{number}.s3.example.com");
        wire.send(format!("GET http://{host}/k HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        wire.until("\r\n\r\n").await;
        wire.count(2).await;
    }
    assert_eq!(upstream.request_count(), 1502);
    assert_eventually(TIMEOUT, "idle connections are bounded", async || upstream.open_connections() <= 1024)
        .await;
    assert_eq!(get("steady.s3.example.com").await, 200);
    assert_eq!(upstream.last_request().connection, steady, "its connection was kept");
}

#[tokio::test]
async fn commands_name_the_wildcard_and_call_one_host() {
    let pki = Pki::new();
    let upstream = upstream(&pki).await;
    let port = upstream.address().port();
    let sidekey = service(&upstream, &pki, "").start().await;
    let file = sidekey.dir().join("sidekey.yaml");
    let file = file.to_str().unwrap();
    let run = async |arguments: &[&str]| {
        let output = Sidekey::command(&[arguments, &["--config", file]].concat(), &[]).await;
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text)
    };
    let (ok, text) = run(&["check", "--online"]).await;
    assert!(
        ok && text.contains(&format!("https://*.s3.example.com:{port}")) && text.contains("not probed"),
        "{text}"
    );
    let (ok, text) = run(&["test", "api"]).await;
    assert!(!ok && text.contains("needs the whole URL of one of its hosts"), "{text}");
    let (ok, text) = run(&["test", "api", &format!("https://one.s3.example.com:{port}/k?x")]).await;
    assert!(ok && text.contains("200"), "{text}");
    assert_eq!(upstream.only_request().server_name.as_deref(), Some("one.s3.example.com"));
    for wrong in ["https://evil.com/k", "https://a.b.s3.example.com/k", "http://one.s3.example.com/k"] {
        assert!(!run(&["test", "api", wrong]).await.0, "{wrong}");
    }
}
