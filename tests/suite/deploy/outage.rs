//! Outage of the identity provider: the alert of deploy/prometheus fires before the first request fails.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::grafana::observed;
use crate::harness::{
    MockTokenEndpoint, MockTokenResponse, MockUpstream, Response, TIMEOUT, assert_eventually,
};

/// Results of the requests so far.
#[derive(Default)]
struct Requests {
    served: u64,
    first_failure: Option<Response>,
}

/// Checked by the order of observations, not by a clock: when the alert fires, no request has failed yet.
#[tokio::test]
async fn alert_fires_before_the_first_request_fails() {
    let (upstream, login) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    login.always(MockTokenResponse::issue(25));
    let (sidekey, prometheus) = observed(&upstream, &login).await;
    prometheus.eventually("sidekey_credential_ready == 1").await;
    assert!(prometheus.firing().await.is_empty(), "nothing is wrong yet");
    // Nothing listens on its address any more.
    drop(login);

    let (sidekey, requests) = (Arc::new(sidekey), Arc::new(Mutex::new(Requests::default())));
    let _app = tokio::spawn({
        let (sidekey, requests) = (sidekey.clone(), requests.clone());
        async move {
            loop {
                let answer = sidekey.get("/crm/a").await;
                if answer.status != 200 {
                    requests.lock().first_failure = Some(answer);
                    return;
                }
                requests.lock().served += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    });
    let mut alerts = Vec::new();
    assert_eventually(TIMEOUT, "an alert fires", async || {
        alerts = prometheus.firing().await;
        !alerts.is_empty()
    })
    .await;
    {
        let requests = requests.lock();
        assert!(requests.first_failure.is_none(), "a request failed before the alert fired");
        assert!(requests.served > 100, "{} requests", requests.served);
    }
    let [alert] = &alerts[..] else { panic!("one alert, not a storm: {alerts:?}") };
    assert_eq!(alert["labels"]["alertname"], "SidekeyTokenExpiresSoon");
    assert_eq!((&alert["labels"]["service"], &alert["labels"]["severity"]), (&"crm".into(), &"page".into()));

    // The alert was not a false alarm.
    assert_eventually(TIMEOUT, "a request fails", async || requests.lock().first_failure.is_some()).await;
    let failure = requests.lock().first_failure.take().unwrap();
    assert_eq!((failure.status, failure.header("sidekey-error")), (503, Some("credential_unavailable")));
}
