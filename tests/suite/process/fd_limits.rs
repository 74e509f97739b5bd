//! The limit on open files: raised to the hard limit, and errors when descriptors run out.

use std::time::Duration;

use crate::harness::{
    Gate, Http2, Http2Stream, MockResponse, MockUpstream, RefusingPort, Request, Sidekey, TIMEOUT,
    assert_eventually, get,
};

fn serving(upstream: &MockUpstream, more: &str) -> String {
    let services = format!("api: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}", upstream.url());
    format!("{more}{}", Sidekey::configuration_serving(&services))
}

#[tokio::test]
async fn fd_limit_is_raised_to_the_hard_limit() {
    let upstream = MockUpstream::plain().await;
    let sidekey =
        Sidekey::configured(&serving(&upstream, "max_connections: 300\n")).open_files(100, 800).start().await;
    let mut callers = Vec::new();
    for _ in 0..300 {
        callers.push(sidekey.connect().await);
    }
    for caller in &mut callers {
        caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        assert_eq!(caller.response().await.status, 200);
    }
    let address = sidekey.address().to_string();
    let open = async || sidekey.metric("sidekey_connections_open", &[("listener", &address)]).await;
    assert_eq!(open().await, Some(300.0));
    drop(callers);
    assert_eventually(TIMEOUT, "connections are counted until they end", async || open().await == Some(0.0))
        .await;
    assert!(!sidekey.log().contains("the limit on open files"), "300 of 800 are enough");
}

#[tokio::test]
async fn fd_limit_too_low_for_max_connections_is_logged() {
    let upstream = MockUpstream::plain().await;
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
    assert_eventually(TIMEOUT, "it serves requests again", async || {
        let mut caller = sidekey.connect().await;
        caller.try_send("GET /api/x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.is_ok()
            && caller.response_to("GET").await.is_ok_and(|response| response.status == 200)
    })
    .await;
}

/// Processor time of a process so far, in ticks of a hundredth of a second (proc_pid_stat(5): utime and
/// stime).
fn ticks(sidekey: &Sidekey) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", sidekey.process_id())).unwrap();
    let fields: Vec<_> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// The number of connections that callers get, as the log says.
async fn allowed(sidekey: &Sidekey) -> usize {
    let event = sidekey.logged_like("the limit on open files").await;
    usize::try_from(event["connections.limit"].as_u64().unwrap()).unwrap()
}

#[tokio::test]
async fn fd_limit_reserves_descriptors_for_upstreams_and_admin() {
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("held").delayed_until(&gate));
    let sidekey = Sidekey::configured(&serving(&upstream, "threads: 1\n")).open_files(100, 120).start().await;
    let allowed = allowed(&sidekey).await;
    let mut callers = Vec::new();
    for _ in 0..allowed {
        let mut caller = sidekey.connect().await;
        caller.send("GET /api/x HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
        callers.push(caller);
    }
    // Each of them has its connection to the upstream.
    upstream.received(allowed).await;
    let refused = sidekey.connect().await.response().await;
    assert_eq!((refused.status, refused.sidekey_error()), (503, Some("overloaded")));
    assert_eq!(Request::get(sidekey.admin_url("/healthz")).send().await.status, 200);
    assert_eq!(Request::get(sidekey.admin_url("/readyz")).send().await.status, 200);
    assert_eq!(sidekey.metric("sidekey_accept_failures_total", &[]).await, Some(0.0));
    gate.open();
    for caller in &mut callers {
        assert_eq!(caller.response().await.status, 200);
    }
}

/// The number of requests for which there was no descriptor.
fn rejected(sidekey: &Sidekey) -> usize {
    sidekey.log().matches("request refused: no connection to 127.0.0.1: Too many open files").count()
}

/// One caller's connection with more requests at a time than there are descriptors.
async fn exhaust(sidekey: &Sidekey, service: &str, count: usize) -> Vec<Http2Stream> {
    let mut caller = Http2::open(sidekey.address()).await;
    let mut streams = Vec::new();
    for _ in 0..count {
        let mut stream = caller.begin(get(&format!("/{service}/x"))).await;
        stream.send("", true).await;
        streams.push(stream);
    }
    streams
}

#[tokio::test]
async fn fd_exhaustion_rejects_or_delays_callers_and_recovers() {
    const WAITS: &str = "cannot accept a connection";
    let upstream = MockUpstream::plain().await;
    let gate = Gate::closed();
    upstream.always(MockResponse::ok("held").delayed_until(&gate));
    let sidekey = Sidekey::configured(&serving(&upstream, "threads: 1\n")).open_files(100, 120).start().await;
    let streams = exhaust(&sidekey, "api", 120).await;
    // As many requests as there were descriptors for reach the upstream; the others get an error response at
    // once.
    assert_eventually(TIMEOUT, "all are held or rejected", async || {
        rejected(&sidekey) + upstream.request_count() >= 120
    })
    .await;
    let held = upstream.request_count();
    assert!((1..120).contains(&held), "{held}");
    // All descriptors are in use, and this connection waits.
    let mut waiting = sidekey.connect().await;
    waiting.send("GET /api/late HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert_eventually(TIMEOUT, "it is logged", async || sidekey.log().contains(WAITS)).await;
    let before = ticks(&sidekey);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let used = ticks(&sidekey) - before;
    assert!(used < 100, "it spins: {used} ticks in three seconds");

    gate.open();
    let (mut good, mut refused) = (0, 0_u32);
    for stream in streams {
        let response = stream.response().await;
        if response.status == 200 {
            good += 1;
        } else {
            assert_eq!((response.status, response.header("sidekey-error")), (503, Some("overloaded")));
            assert_eq!(response.header("retry-after"), Some("1"));
            refused += 1;
        }
    }
    assert_eq!((good, refused as usize), (held, 120 - held));
    assert_eq!(waiting.response().await.status, 200, "the waiting caller is served");
    for _ in 0..20 {
        assert_eq!(sidekey.get("/api/again").await.status, 200);
    }
    assert_eq!(Request::get(sidekey.admin_url("/readyz")).send().await.status, 200);
    let failures = sidekey.metric("sidekey_accept_failures_total", &[]).await;
    assert!(failures >= Some(2.0), "{failures:?}");
    let errors = sidekey.metric("sidekey_request_errors_total", &[("reason", "overloaded")]).await;
    assert_eq!(errors, Some(f64::from(refused)));
    assert_eq!(sidekey.metric("sidekey_request_errors_total", &[("reason", "upstream_connect")]).await, None);
    assert_eq!(sidekey.log().matches(WAITS).count(), 1, "{}", sidekey.log());
    let events = sidekey.events();
    let told = |event: &&serde_json::Value| {
        event["level"] == "ERROR"
            && event["message"].as_str().is_some_and(|text| text.starts_with("no connection can be opened"))
    };
    assert_eq!(events.iter().filter(told).count(), 1);
}

#[tokio::test]
async fn fd_exhaustion_is_no_failure_of_the_upstream() {
    let (one, two, endpoint) =
        (MockUpstream::plain().await, MockUpstream::plain().await, RefusingPort::new());
    let gate = Gate::closed();
    for upstream in [&one, &two] {
        upstream.always(MockResponse::ok("held").delayed_until(&gate));
    }
    let services = format!(
        "api: {{ upstream: ['{}', '{}'], circuit_breaker: {{ consecutive_failures: 1, open_duration: 1h }}, \
         auth: {{ type: bearer, token: t }} }}\n\
         name: {{ upstream: 'https://nobody.example', auth: {{ type: bearer, token: t }} }}\n\
         token: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: client_credentials, token_url: 'http://{}', \
         client_id: me, client_secret: s3cret }} }}",
        one.url(),
        two.url(),
        one.url(),
        endpoint.address
    );
    let config = format!("threads: 1\n{}", Sidekey::configuration_serving(&services));
    let sidekey = Sidekey::configured(&config).open_files(100, 120).start().await;
    let mut other = Http2::open(sidekey.address()).await;
    let streams = exhaust(&sidekey, "api", 120).await;
    assert_eventually(TIMEOUT, "all are held or rejected", async || {
        let reached = one.request_count() + two.request_count();
        rejected(&sidekey) + reached >= 120
    })
    .await;
    // A name that has to be looked up needs a descriptor as well.
    let unnamed = other.get("/name/x").await;
    assert_eq!((unnamed.status, unnamed.header("sidekey-error")), (503, Some("overloaded")));
    assert_eventually(TIMEOUT, "the token request says what is missing", async || {
        sidekey.log().contains("no descriptor is left to connect to the token endpoint")
    })
    .await;
    gate.open();
    for stream in streams {
        let response = stream.response().await;
        assert!([200, 503].contains(&response.status), "{}", response.status);
    }
    for _ in 0..4 {
        assert_eq!(sidekey.get("/api/again").await.status, 200, "the circuit breaker is closed");
    }
    let again = |upstream: &MockUpstream| {
        upstream.requests().iter().filter(|request| request.target == "/again").count()
    };
    assert_eq!((again(&one), again(&two)), (2, 2), "neither URL is ejected");
    let log = sidekey.log();
    assert!(!log.contains("endpoint ejected") && !log.contains("circuit breaker open"), "{log}");
}
