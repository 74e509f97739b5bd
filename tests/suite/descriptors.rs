//! The limit on open files: raised as far as it goes, so that a shell's 1024 is not the end of it.

use super::http_setup::PATIENCE;
use crate::harness::{Sidekey, Upstream, assert_eventually};

fn serving(upstream: &Upstream, more: &str) -> String {
    let services = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    format!("{more}{}", Sidekey::configuration_serving(&services))
}

#[tokio::test]
async fn a_low_limit_that_can_be_raised_is_none() {
    let upstream = Upstream::plain().await;
    let sidekey =
        Sidekey::configured(&serving(&upstream, "max_connections: 300\n")).open_files(100, 600).start().await;
    let mut callers = Vec::new();
    for _ in 0..300 {
        callers.push(sidekey.connect().await);
    }
    for caller in &mut callers {
        caller.send("GET /api/x HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert_eq!(caller.response().await.status, 200);
    }
    assert!(!sidekey.log().contains("the limit on open files"), "300 of 600 are enough");
}

#[tokio::test]
async fn one_that_is_too_low_for_the_configuration_is_told_of_and_does_not_end_it() {
    let upstream = Upstream::plain().await;
    let sidekey =
        Sidekey::configured(&serving(&upstream, "max_connections: 300\n")).open_files(100, 120).start().await;
    sidekey
        .logged_like("the limit on open files (ulimit -Hn, LimitNOFILE) is too low for `max_connections`")
        .await;
    let mut callers = Vec::new();
    for _ in 0..150 {
        callers.push(sidekey.connect().await);
    }
    drop(callers);
    assert_eventually(PATIENCE, "it serves as before", async || {
        let mut caller = sidekey.connect().await;
        caller.try_send("GET /api/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.is_ok()
            && caller.response_to("GET").await.is_ok_and(|response| response.status == 200)
    })
    .await;
}
