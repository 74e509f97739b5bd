//! A clock that is off is corrected by the time of the upstream.

use std::time::{Duration, SystemTime};

use super::{SECRET, config, verify};
use crate::harness::{MockResponse, MockUpstream, Request, Sidekey};

/// What S3 answers if the time of a signature is off.
fn too_skewed(date: SystemTime) -> MockResponse {
    MockResponse::status(403)
        .header("Date", &httpdate::fmt_http_date(date))
        .header("Content-Type", "application/xml")
        .body("<Error><Code>RequestTimeTooSkewed</Code></Error>")
}

#[tokio::test]
async fn request_is_signed_again_with_the_time_of_the_upstream() {
    let upstream = MockUpstream::plain().await;
    let there = SystemTime::now() + Duration::from_secs(3600);
    let sidekey = Sidekey::serving(&config(&upstream.url(), "s3", "", "")).start_ready().await;
    upstream.next(too_skewed(there));
    let response = Request::new("PUT", sidekey.url("/api/b/k")).body("content").send().await;
    assert_eq!(response.status, 200);
    assert_eq!(sidekey.get("/api/b/k").await.status, 200);
    let requests = upstream.requests();
    assert_eq!(requests.len(), 3, "the second call needs no second attempt");
    assert_eq!(requests[1].text(), "content");
    let time = |index: usize| verify(&requests[index], SECRET).unwrap().time;
    let near = |time: &str| {
        let formats: Vec<_> = (0..60)
            .map(|second| {
                let date = chrono::DateTime::<chrono::Utc>::from(there + Duration::from_secs(second));
                date.format("%Y%m%dT%H%M%SZ").to_string()
            })
            .collect();
        formats.contains(&time.to_owned())
    };
    assert!(!near(&time(0)) && near(&time(1)) && near(&time(2)), "{} {} {}", time(0), time(1), time(2));
    let event = sidekey.logged_like("the clock of this machine differs").await;
    assert_eq!(event["sidekey.service"], "api");
    let retries = [("service", "api"), ("reason", "unauthorized"), ("result", "success")];
    assert_eq!(sidekey.metric("sidekey_upstream_retries_total", &retries).await, Some(1.0));
}

#[tokio::test]
async fn rejection_for_another_reason_is_passed_on() {
    let upstream = MockUpstream::plain().await;
    let sidekey = Sidekey::serving(&config(&upstream.url(), "s3", "", "")).start_ready().await;
    for answer in [
        too_skewed(SystemTime::now()).body("<Error><Code>AccessDenied</Code></Error>"),
        too_skewed(SystemTime::now() - Duration::from_secs(3600)).header("Age", "3600"),
        MockResponse::status(403).body("no date"),
    ] {
        upstream.next(answer);
        assert_eq!(sidekey.get("/api/b/k").await.status, 403);
    }
    assert_eq!(upstream.requests().len(), 3);
    // The second attempt is the last one, whatever its answer.
    upstream.next(too_skewed(SystemTime::now() + Duration::from_secs(3600)));
    upstream.next(too_skewed(SystemTime::now() - Duration::from_secs(3600)));
    assert_eq!(sidekey.get("/api/b/k").await.status, 403);
    assert_eq!(upstream.requests().len(), 5);
}
