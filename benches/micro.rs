//! What the pure parts of a request's path cost, one by one: nanoseconds, no socket.
//!
//! `cargo bench --bench micro`, or with a part of a name behind it.

#![allow(clippy::unwrap_used, missing_docs)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prometheus::Registry;

use sidekey::config::Config;
use sidekey::config::auth::placement::Placement;
use sidekey::credential::{self, Owned, StoreHandle};
use sidekey::metrics::Metrics;
use sidekey::net::dns::Resolver;
use sidekey::oauth2::{AccessToken, IssuedToken, TokenStore, bench as bench_token};
use sidekey::proxy::{ConnectionContext, DataPlane, Exposure, ListenerContext, bench};
use sidekey::refresh::{ClockReading, Expiry, Source, SourceError, refresher, schedule};
use sidekey::runtime::route::Routes;
use sidekey::runtime::service::Service;
use sidekey::runtime::snapshot::{Runtime, Snapshot};
use sidekey::secret::Secret;
use sidekey::upstream::{Upstream, UpstreamTls};

const BROWSER: &str = "Host: 127.0.0.1:8080\r\nUser-Agent: python-requests/2.32.3\r\nAccept-Encoding: gzip, deflate\r\n\
                       Accept: application/json\r\nConnection: keep-alive\r\nAuthorization: Bearer of-the-caller\r\n\
                       Cookie: a=1; b=2\r\nX-Request-Id: 0e5d4b1c-7a5e-4b42-8a53-2c4b1c9d4c10\r\n\r\n";

struct Issuer;

#[async_trait]
impl Source<AccessToken> for Issuer {
    async fn fetch(&self) -> Result<AccessToken, SourceError> {
        let value = Secret::new("2YotnFZFEjr1zCsicMWpAA2YotnFZFEjr1zCsicMWpAA".into()).unwrap();
        let expiry = Expiry::after(ClockReading::now(), Duration::from_secs(3600));
        let issued = IssuedToken { value, expiry, scope: None };
        Ok(AccessToken::new(&issued, None, &Placement::bearer()).unwrap())
    }
}

/// One service of each kind that differs on the path of a request, and others that are never asked for.
fn config(others: usize) -> Config {
    let mut text = String::from(
        "services:
  bearer: { upstream: https://up.example.com/api, auth: { type: bearer, token: 2YotnFZFEjr1zCsicMWpAA } }
  query: { upstream: https://up.example.com, auth: { type: api_key, in: query, name: key, value: k } }
  cookie: { upstream: https://up.example.com, auth: { type: api_key, in: cookie, name: sid, value: k } }
  oauth2:
    upstream: https://up.example.com
    auth: { type: oauth2, grant_type: client_credentials, token_url: https://login.example.com/token, client_id: a, client_secret: b }
",
    );
    for n in 0..others {
        writeln!(
            text,
            "  other-{n}: {{ upstream: https://up-{n}.example.com, auth: {{ type: bearer, token: t }} }}"
        )
        .unwrap();
    }
    Config::parse(&text, "bench.yaml", sidekey::credential::READERS).unwrap_or_else(|error| panic!("{error}"))
}

fn proxy() -> ConnectionContext {
    let config = config(0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Arc::new(TokenStore::new(Duration::from_secs(5)));
    runtime.block_on(async {
        tokio::spawn(refresher::run("oauth2".into(), Arc::new(Issuer), store.clone()));
        store.wait_until_usable(Duration::from_secs(5)).await;
    });
    let handle: StoreHandle = store.clone();
    let metrics = Arc::new(Metrics::new(&Registry::new()).unwrap());
    let resolver = Resolver::from_system().unwrap();
    let service = |config: &sidekey::config::ServiceConfig| {
        let credential = credential::build(&config.auth, &config.name, |_| Some(&handle));
        let upstream =
            Arc::new(Upstream::new(config, UpstreamTls::Each(vec![None]), &resolver, None, vec![]));
        Service::new(config, credential, upstream, metrics.service(&config.name))
    };
    let services = config.services.iter().map(|config| Arc::new(service(config))).collect();
    let snapshot = Snapshot {
        routes: Routes::new(&config.services, &[]),
        services,
        inactive: Box::default(),
        problems: Box::default(),
        access_log: false,
        intercept: None,
        passthrough: None,
        downstream_timeouts: sidekey::config::DownstreamTimeouts::default(),
        callers: None,
        audit: None,
        browser_origins: Box::default(),
        max_connections: 1,
        tracer: None,
    };
    let plane = DataPlane::new(Arc::new(Runtime::new(snapshot)), metrics);
    ConnectionContext::new(
        Arc::new(plane),
        Arc::new(ListenerContext::new(None, Exposure::Loopback, None, Arc::default())),
    )
}

fn route(c: &mut Criterion) {
    for others in [6, 996] {
        let routes = Routes::new(&config(others).services, &[]);
        let path = format!("/other-{}/v1/x?y=1", others / 2);
        c.bench_function(&format!("route/{}-services", others + 4), |b| {
            b.iter(|| routes.find(None, "127.0.0.1:8080", false, black_box(&path)).unwrap().service);
        });
    }
}

fn strip(c: &mut Criterion) {
    let query = Owned::default().with_query("key");
    c.bench_function("strip/query-without", |b| {
        b.iter(|| query.strip_query(black_box("a=1&b=2&page=3")).len());
    });
    c.bench_function("strip/query-with", |b| {
        b.iter(|| query.strip_query(black_box("a=1&k%65y=evil&c=3")).len());
    });
    let cookie = Owned::default().with_cookie("sid");
    c.bench_function("strip/cookie-without", |b| {
        b.iter(|| cookie.strip_cookie(black_box(b"a=1; b=2")).len());
    });
    c.bench_function("strip/cookie-with", |b| {
        b.iter(|| cookie.strip_cookie(black_box(b"a=1; sid=evil")).len());
    });
}

fn head(c: &mut Criterion) {
    let head = format!("GET /bearer/v1/x?y=1 HTTP/1.1\r\n{BROWSER}");
    assert_eq!(bench::parse(head.as_bytes()), 8);
    c.bench_function("head/parse", |b| b.iter(|| bench::parse(black_box(head.as_bytes()))));
    // Parse, route and rewrite: all of a request's path but its sockets.
    let proxy = proxy();
    for service in ["bearer", "oauth2", "query", "cookie"] {
        let head = format!("GET /{service}/v1/x?y=1 HTTP/1.1\r\n{BROWSER}");
        assert!(bench::prepare(&proxy, head.as_bytes()) > 200);
        c.bench_function(&format!("head/prepare-{service}"), |b| {
            b.iter(|| bench::prepare(&proxy, black_box(head.as_bytes())));
        });
    }
}

fn framing(c: &mut Criterion) {
    let mut body = Vec::new();
    for _ in 0..4 {
        body.extend_from_slice(b"2000\r\n");
        body.extend_from_slice(&[b'x'; 0x2000]);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    assert_eq!(bench::chunked(&body), body.len());
    let mut group = c.benchmark_group("framing");
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("chunked-32k", |b| b.iter(|| bench::chunked(black_box(&body))));
}

fn token(c: &mut Criterion) {
    c.bench_function("schedule/refresh-in", |b| {
        b.iter(|| schedule::refresh_in(black_box(Duration::from_secs(3600)), black_box(0.3)));
    });
    let failure =
        schedule::Failure { count: 5, refused: false, retry_after: None, lifetime: None, remaining: None };
    c.bench_function("schedule/retry-in", |b| {
        b.iter(|| schedule::retry_in(black_box(failure), black_box(0.3)));
    });
    let body =
        br#"{"access_token":"2YotnFZFEjr1zCsicMWpAA","token_type":"Bearer","expires_in":3600,"scope":"a b"}"#;
    c.bench_function("token/parse-answer", |b| {
        b.iter(|| bench_token::parse_answer(black_box(body)).unwrap());
    });
}

criterion_group!(
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(1));
    targets = route, strip, head, framing, token
);
criterion_main!(benches);
