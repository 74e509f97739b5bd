//! Authorization code without a browser on this machine (`--no-browser`).

use super::setup::{CODE_GRANT, issued, serving};
use crate::harness::{Login, MockTokenEndpoint, MockUpstream};

#[tokio::test]
async fn login_no_browser_accepts_pasted_callback_address() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    endpoint.next(issued(3600, "refresh"));
    let more = format!("{CODE_GRANT}, redirect_uri: 'https://app.example.com/back'");
    let sidekey = serving(&upstream, &endpoint, &more).start().await;
    let mut login = Login::start(&sidekey, &["api", "--no-browser"]);
    assert_eq!(login.parameter("redirect_uri").await, "https://app.example.com/back");
    let address = login.callback_url(&[("code", "the code")]).await;
    login.type_line(address.as_str());
    assert_eq!(login.ended().await, 0, "{}", login.output());
    assert_eq!(endpoint.requests()[0].param("code"), Some("the code"));
    assert_eq!(endpoint.requests()[0].param("redirect_uri"), Some("https://app.example.com/back"));
    sidekey.ready().await;
}

#[tokio::test]
async fn login_no_browser_rejects_unrelated_input() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let sidekey = serving(&upstream, &endpoint, CODE_GRANT).start().await;
    for (line, reason) in [
        ("http://127.0.0.1/callback?code=CANARY&state=other", "its `state` differs"),
        ("http://127.0.0.1/callback?code=CANARY", "its `state` differs"),
        ("CANARY", "that is not the whole address"),
        ("", "nothing was pasted"),
    ] {
        let mut login = Login::start(&sidekey, &["api", "--no-browser"]);
        login.address().await;
        login.type_line(line);
        assert_eq!(login.ended().await, 1);
        login.prints(reason).await;
        assert!(!login.output().contains("CANARY"));
    }
    assert_eq!(endpoint.request_count(), 0);
}
