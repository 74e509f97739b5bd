//! Log messages about mismatches between the configuration and the upstream.

use crate::harness::{MockUpstream, Nginx, Pki};
use crate::suite::http::setup::{RawServer, said, sidekey_for, sidekey_for_url};

#[tokio::test]
async fn upstream_https_behind_http_url_is_diagnosed() {
    const HINT: &str = "the upstream wants TLS there: is its URL `https://`?";
    let pki = Pki::new();
    let nginx = Nginx::https(&pki, "", "", async |_| ()).await;
    let sidekey = sidekey_for_url(&nginx.url().replace("https://localhost", "http://127.0.0.1"), "").await;
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/x").await.status, 400, "nginx's own answer is passed on");
    }
    sidekey.logged(HINT).await;
    let all = sidekey.events().into_iter().filter(|event| event["message"] == HINT);
    assert_eq!(all.count(), 1, "{}", sidekey.log());

    // A server that does not answer plain HTTP at all.
    let upstream = MockUpstream::tls(&pki).await;
    let sidekey = sidekey_for_url(&format!("http://{}", upstream.address()), "").await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"));
    said(&sidekey, "what came is a TLS alert, so the upstream wants TLS").await;
}

#[tokio::test]
async fn upstream_http_behind_https_url_is_diagnosed() {
    let server = RawServer::new().await;
    let sidekey = sidekey_for_url(&server.url().replace("http://127.0.0.1", "https://localhost"), "").await;
    let answer = async {
        let mut wire = server.accept().await;
        wire.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        wire.rest().await
    };
    let (response, _) = tokio::join!(sidekey.get("/api/x"), answer);
    assert_eq!(response.sidekey_error(), Some("upstream_tls"));
    said(&sidekey, "the server does not speak TLS: is the URL `http://`, or another port?").await;
}

#[tokio::test]
async fn upstream_ordinary_400_is_not_diagnosed() {
    let upstream = MockUpstream::plain().await;
    upstream.always(crate::harness::MockResponse::status(400).body("no such field"));
    let sidekey = sidekey_for(&upstream).await;
    assert_eq!(sidekey.get("/api/x").await.status, 400);
    // The access log line is written after the diagnosis would be.
    sidekey.logged("request").await;
    assert!(!sidekey.log().contains("wants TLS"));
}
