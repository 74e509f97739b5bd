//! HTTP/2 with independent software: curl, nghttp and h2load as callers, nghttpd as an upstream.

use std::process::Command;

use crate::harness::{Curl, MockResponse, MockUpstream, Nghttpd, Pki, Sidekey, run, tool};
use crate::suite::http::setup::{sidekey_for, wait_until_idle};

#[tokio::test]
async fn curl_http2_by_prior_knowledge_is_served() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::status(201).body("made").chunked(2).trailer("X-Sum", "7"));
    let url = sidekey.url("/api/x?y=1");
    let call = ["--http2-prior-knowledge", "--include", "-b", "a=1; b=2", "--data-binary", "@-", &url];
    let response = Curl::call(&call, &b"0123456789".repeat(50_000)).await;
    let text = response.text();
    assert!(text.starts_with("HTTP/2 201 ") && text.contains("\r\n\r\nmade"), "{text}");
    let seen = upstream.only_request();
    assert_eq!((seen.target.as_str(), seen.body.len()), ("/x?y=1", 500_000));
    assert_eq!(
        (seen.header("cookie"), seen.header("authorization")),
        (Some("a=1; b=2"), Some("Bearer t0ken"))
    );
}

#[tokio::test]
async fn curl_http2_upgrade_offer_is_served_over_http1() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let response = Curl::call(&["--http2", "--include", &sidekey.url("/api/x")], b"").await;
    assert!(response.text().starts_with("HTTP/1.1 200 "), "{}", response.text());
    let seen = upstream.only_request();
    assert_eq!((seen.header("upgrade"), seen.header("http2-settings")), (None, None));
}

#[tokio::test]
async fn nghttp_trailers_pass_both_ways() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    upstream.next(MockResponse::ok("body").chunked(2).trailer("X-Sum", "7"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "0123456789").unwrap();
    let mut command = Command::new(tool("nghttp"));
    command.args([
        "--verbose",
        "--no-dep",
        "--trailer",
        "x-check: 9",
        "--data",
        file.path().to_str().unwrap(),
    ]);
    command.arg(sidekey.url("/api/x"));
    let output = run(command, b"").await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("x-sum: 7"), "{text}");
    let seen = upstream.only_request();
    assert!(seen.complete && seen.text() == "0123456789");
}

#[tokio::test]
async fn h2load_requests_all_succeed() {
    let upstream = MockUpstream::plain().await;
    let sidekey = sidekey_for(&upstream).await;
    let mut command = Command::new(tool("h2load"));
    command.args(["-n", "1000", "-c", "4", "-m", "32"]).arg(sidekey.url("/api/x"));
    let output = run(command, b"").await;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("1000 succeeded, 0 failed, 0 errored, 0 timeout"), "{text}");
    assert_eq!(upstream.request_count(), 1000);
    wait_until_idle(&sidekey).await;
}

#[tokio::test]
async fn nghttpd_works_as_upstream_plain_and_tls() {
    let pki = Pki::new();
    let file: Vec<u8> = (0..3_000_000_u32).map(|number| number.to_le_bytes()[0]).collect();
    let plain = Nghttpd::start(&file, None, &["--trailer", "x-sum: 7"]).await;
    let files = pki.server_files(&["localhost"]);
    let secure = Nghttpd::start(&file, Some(&files), &["--echo-upload"]).await;
    let services = format!(
        "plain: {{ upstream: 'http://127.0.0.1:{}', protocol: http2, auth: {{ type: bearer, token: t0ken }} }}
secure: {{ upstream: 'https://localhost:{}', protocol: http2, tls: {{ ca_file: '{}' }}, auth: {{ type: bearer, token: t0ken }} }}",
        plain.port(),
        secure.port(),
        pki.ca_file()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let down = Curl::call(&[version, &sidekey.url("/plain/file")], b"").await;
        assert!(down.status == 200 && down.body == file);
        let up = Curl::call(&[version, "--data-binary", "@-", &sidekey.url("/secure/echo")], &file).await;
        assert!(up.status == 200 && up.body == file, "{} bytes", up.body.len());
    }
    assert!(plain.log().contains("authorization: Bearer t0ken"));
}
