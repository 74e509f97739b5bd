//! Reload of listeners: opened, moved and closed.

use std::net::TcpListener;

use super::setup::{bearer, config};
use crate::harness::{Connection, MockUpstream, Request, Sidekey, TIMEOUT, assert_eventually};

fn own(name: &str, upstream: &MockUpstream, listen: &str) -> String {
    bearer(name, upstream, name).replacen('{', &format!("{{ listen: '{listen}',"), 1)
}

async fn sent(url: String, upstream: &MockUpstream) -> String {
    assert_eq!(Request::get(url).send().await.status, 200);
    upstream.last_request().header("authorization").unwrap().to_owned()
}

#[tokio::test]
async fn reload_opens_and_closes_listener() {
    let upstream = MockUpstream::plain().await;
    let only = bearer("api", &upstream, "api");
    let sidekey = Sidekey::configured(&config(&only)).start().await;
    sidekey.reconfigure(&config(&(only.clone() + &own("new", &upstream, "127.0.0.1:0"))));
    assert!(sidekey.reload().await);
    let address = sidekey.newest_address_of("new").unwrap();
    assert_eq!(sent(format!("http://{address}/x"), &upstream).await, "Bearer new");
    // A connection that stays open over the reload.
    let mut caller = Connection::open(address).await;
    caller.send("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(caller.response().await.status, 200);

    sidekey.reconfigure(&config(&only));
    assert!(sidekey.reload().await);
    assert_eventually(TIMEOUT, "the listener is closed", async || {
        Connection::try_open(address).await.is_err()
    })
    .await;
    caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let response = caller.response().await;
    assert_eq!((response.status, response.sidekey_error()), (404, Some("unknown_service")));
    assert!(caller.rest().await.is_empty(), "and the connection ends");
    assert_eq!(upstream.request_count(), 2);
}

#[tokio::test]
async fn reload_moves_listener_between_services() {
    let upstream = MockUpstream::plain().await;
    let own = |name| own(name, &upstream, "unix:$DIR/own.sock");
    let before = own("a") + &bearer("b", &upstream, "b");
    let sidekey = Sidekey::configured(&config(&before)).start().await;
    let path = sidekey.dir().join("own.sock");
    let sent = async || {
        let mut caller = Connection::open_unix(&path).await;
        caller.send("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(caller.response().await.status, 200);
        upstream.last_request().header("authorization").unwrap().to_owned()
    };
    assert_eq!(sent().await, "Bearer a");
    sidekey.reconfigure(&config(&(bearer("a", &upstream, "a") + &own("b"))));
    assert!(sidekey.reload().await);
    assert_eventually(TIMEOUT, "the other service has it", async || sent().await == "Bearer b").await;
}

#[tokio::test]
async fn reload_fails_as_a_whole_if_address_is_in_use() {
    let upstream = MockUpstream::plain().await;
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let only = bearer("api", &upstream, "api");
    let sidekey = Sidekey::configured(&config(&only)).start().await;
    let new = own("new", &upstream, &address);
    sidekey.reconfigure(&config(
        &(bearer("api", &upstream, "other") + &own("more", &upstream, "127.0.0.1:0") + &new),
    ));
    assert!(!sidekey.reload().await);
    assert!(sidekey.log().contains(&format!("cannot listen on {address}")));
    let metrics = sidekey.metrics().await;
    assert!(!metrics.contains("service=\"new\""), "a service that does not run has no series: {metrics}");
    assert_eq!(sent(sidekey.url("/api/x"), &upstream).await, "Bearer api", "nothing of it is applied");
    assert_eq!(sidekey.newest_address_of("more"), None);
    drop(taken);
    assert!(sidekey.reload().await);
    assert_eq!(sent(format!("http://{address}/x"), &upstream).await, "Bearer new");
}

#[tokio::test]
async fn reload_removes_file_of_closed_unix_socket() {
    let upstream = MockUpstream::plain().await;
    let only = bearer("api", &upstream, "api");
    let with = only.clone() + &own("new", &upstream, "unix:$DIR/new.sock");
    let sidekey = Sidekey::configured(&config(&with)).start().await;
    let path = sidekey.dir().join("new.sock");
    let mut caller = Connection::open_unix(&path).await;
    caller.send("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(caller.response().await.status, 200);
    sidekey.reconfigure(&config(&only));
    assert!(sidekey.reload().await);
    assert!(!path.exists());
    sidekey.reconfigure(&config(&with));
    assert!(sidekey.reload().await);
    let mut caller = Connection::open_unix(&path).await;
    caller.send("GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(caller.response().await.status, 200);
}
