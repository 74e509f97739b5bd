//! What the log says where the configuration and the upstream do not fit each other.

use crate::harness::{Nginx, Pki, Upstream};
use crate::suite::http::setup::{RawServer, before, before_url, said};

#[tokio::test]
async fn an_https_server_behind_an_http_url_is_recognised() {
    const HINT: &str = "the upstream wants TLS there: is its URL `https://`?";
    let pki = Pki::new();
    let nginx = Nginx::https(&pki, "", "", async |_| ()).await;
    let sidekey = before_url(&nginx.url().replace("https://localhost", "http://127.0.0.1"), "").await;
    for _ in 0..3 {
        assert_eq!(sidekey.get("/api/x").await.status, 400, "nginx's own answer is passed on");
    }
    sidekey.logged(HINT).await;
    let all = sidekey.events().into_iter().filter(|event| event["message"] == HINT);
    assert_eq!(all.count(), 1, "{}", sidekey.log());

    // A server that has nothing to say in plain HTTP.
    let upstream = Upstream::tls(&pki).await;
    let sidekey = before_url(&format!("http://{}", upstream.address()), "").await;
    assert_eq!(sidekey.get("/api/x").await.sidekey_error(), Some("upstream_protocol"));
    said(&sidekey, "what came is a TLS alert, so the upstream wants TLS").await;
}

#[tokio::test]
async fn a_plain_server_behind_an_https_url_is_recognised() {
    let server = RawServer::new().await;
    let sidekey = before_url(&server.url().replace("http://127.0.0.1", "https://localhost"), "").await;
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
async fn a_400_about_something_else_is_no_hint() {
    let upstream = Upstream::plain().await;
    upstream.always(crate::harness::Answer::status(400).body("no such field"));
    let sidekey = before(&upstream).await;
    assert_eq!(sidekey.get("/api/x").await.status, 400);
    // Its line in the access log comes after.
    sidekey.logged("request").await;
    assert!(!sidekey.log().contains("wants TLS"));
}
