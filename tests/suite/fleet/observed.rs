//! What an operator sees of a fleet.

use std::time::Duration;

use super::setup::{Provider, client_credentials, config, shared, start};
use crate::harness::{Redis, TraceCollector, assert_eventually};

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread")]
async fn step_through_the_store_is_a_span() {
    let (provider, redis, collector) =
        (Provider::new(HOUR), Redis::start(&[]).await, TraceCollector::start().await);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    let config = config(&shared(&redis), &upstream, &client_credentials(&endpoint));
    let traced =
        format!("tracing: {{ otlp_endpoint: '{}', export_interval: 50ms }}\n{config}", collector.url());
    for by in ["self", "peer"] {
        let process = start(&traced, 1).await.remove(0);
        process.ready().await;
        let mut found = Vec::new();
        assert_eventually(Duration::from_secs(20), "the span is exported", async || {
            found = collector.spans();
            found.retain(|span| {
                span.text("name") == "shared token"
                    && span.attribute("sidekey.shared.by").as_deref() == Some(by)
            });
            !found.is_empty()
        })
        .await;
        assert_eq!((found.len(), found[0].status_code()), (1, 0), "{found:?}");
        assert_eq!(found[0].attribute("sidekey.service").as_deref(), Some("api"));
    }
    assert_eq!(collector.token_spans(1).await.len(), 1, "one token request");
    let exported = format!("{:?}", collector.exports());
    assert!(!exported.contains("CANARY"), "{exported}");
}

#[tokio::test(flavor = "multi_thread")]
async fn store_that_may_remove_records_is_warned_of() {
    let provider = Provider::new(HOUR);
    let (endpoint, upstream) = (provider.serve().await, provider.upstream().await);
    for (policy, is_wrong) in [("noeviction", false), ("volatile-lru", true)] {
        let redis = Redis::start(&["--maxmemory-policy", policy]).await;
        let process =
            start(&config(&shared(&redis), &upstream, &client_credentials(&endpoint)), 1).await.remove(0);
        process.ready().await;
        process.logged("shared store connected").await;
        let warning = process
            .log()
            .lines()
            .find(|line| line.contains("shared store may remove refresh tokens"))
            .map(str::to_owned);
        assert_eq!(warning.is_some(), is_wrong, "{policy}");
        assert!(warning.is_none_or(|line| line.contains(policy) && line.contains("WARN")), "{policy}");
    }
}
