//! Retries over HTTP/2: after a 401, to another URL, and after REFUSED_STREAM or GOAWAY.

use h2::Reason;
use tokio::net::TcpListener;

use crate::harness::{
    Frame, Frames, Http2, MockHttp2Upstream, MockTokenEndpoint, RefusingPort, Request, Sidekey, fields, post,
};
use crate::suite::http::setup::sidekey_with_one_worker;

/// A token endpoint, and a ready Sidekey with a service of these upstreams, which accept the endpoint's live
/// tokens only.
async fn sidekey_with_guarded(upstreams: &[&MockHttp2Upstream]) -> (MockTokenEndpoint, Sidekey) {
    let endpoint = MockTokenEndpoint::plain().await;
    for upstream in upstreams {
        upstream.guarded(endpoint.live());
    }
    let urls: Vec<_> = upstreams.iter().map(|upstream| upstream.url()).collect();
    let services = format!(
        "api: {{ upstream: [{}], protocol: http2, auth: {{ type: oauth2, grant_type: client_credentials, \
         token_url: '{}', client_id: me, client_secret: s3cret, token_request: {{ min_interval: 1ms }} }} }}",
        urls.join(", "),
        endpoint.url(),
    );
    let sidekey = Sidekey::serving(&services).start_ready().await;
    (endpoint, sidekey)
}

/// Revokes all tokens, later than `min_refresh_interval` after the last refresh.
async fn revoke(endpoint: &MockTokenEndpoint) {
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    endpoint.revoke_all();
}

async fn replayed(sidekey: &Sidekey) -> Option<f64> {
    sidekey.metric("sidekey_upstream_retries_total", &[("result", "success")]).await
}

#[tokio::test]
async fn http2_request_is_retried_with_new_token_after_401() {
    let upstream = MockHttp2Upstream::plain().await;
    let (endpoint, sidekey) = sidekey_with_guarded(&[&upstream]).await;
    let mut caller = Http2::open(sidekey.address()).await;
    for length in [0, 1, 1000, 50_000] {
        let body = "x".repeat(length);
        for has_length in [true, false] {
            revoke(&endpoint).await;
            let mut request = http::Request::post("http://localhost/api/x");
            if has_length {
                request = request.header("content-length", length);
            }
            let mut stream = caller.begin(request.body(()).unwrap()).await;
            stream.send(body.clone(), true).await;
            let response = stream.response().await;
            assert_eq!((response.status, response.text().as_str()), (200, "ok"), "{length} bytes");
        }
        revoke(&endpoint).await;
        assert_eq!(Request::post(sidekey.url("/api/x"), body.clone()).send().await.text(), "ok");
        let requests = upstream.requests();
        for request in &requests[requests.len() - 6..] {
            assert!(request.complete && request.body == body.as_bytes(), "{length} bytes, all of them");
        }
    }
    revoke(&endpoint).await;
    let mut stream = caller.begin(post("/api/x")).await;
    stream.send("body", false).await;
    stream
        .up
        .send_trailers([("x-sum".parse().unwrap(), "7".parse().unwrap())].into_iter().collect())
        .unwrap();
    assert_eq!(stream.response().await.text(), "ok");
    for request in &upstream.requests()[24..] {
        assert!(request.body == b"body" && request.trailers["x-sum"] == "7");
    }
    assert_eq!((upstream.requests().len(), replayed(&sidekey).await), (26, Some(13.0)));
}

#[tokio::test]
async fn http2_body_larger_than_buffer_gets_401_and_token_is_new() {
    let upstream = MockHttp2Upstream::plain().await;
    let (endpoint, sidekey) = sidekey_with_guarded(&[&upstream]).await;
    let mut caller = Http2::open(sidekey.address()).await;
    revoke(&endpoint).await;
    let mut stream = caller.begin(post("/api/x")).await;
    stream.send("x".repeat(500_000), true).await;
    let response = stream.response().await;
    assert_eq!(
        (response.status, response.header("sidekey-error")),
        (401, None),
        "it is the upstream's response"
    );
    assert_eq!(upstream.last_request().body.len(), 500_000);
    assert_eq!(caller.get("/api/x").await.text(), "ok");
}

#[tokio::test]
async fn http2_urls_are_balanced_with_a_connection_each() {
    let (one, two) = (MockHttp2Upstream::plain().await, MockHttp2Upstream::plain().await);
    let nobody = RefusingPort::new();
    let services = format!(
        "api: {{ upstream: ['http://{}', '{}/one', '{}/two'], protocol: http2, auth: {{ type: bearer, token: t0ken }} }}",
        nobody.address,
        one.url(),
        two.url()
    );
    let config = Sidekey::configuration_serving(&services).replacen("listen:", "threads: 1\nlisten:", 1);
    let sidekey = Sidekey::configured(&config).start().await;
    let mut caller = Http2::open(sidekey.address()).await;
    for number in 0..12 {
        let mut stream = caller.begin(post("/api/x")).await;
        stream.send(format!("{number}"), true).await;
        assert_eq!(stream.response().await.text(), "ok");
        assert_eq!(Request::post(sidekey.url("/api/x"), format!("{number}")).send().await.text(), "ok");
    }
    let mut bodies = Vec::new();
    for (upstream, base) in [(&one, "/one"), (&two, "/two")] {
        let requests = upstream.requests();
        assert!(requests.len() >= 8, "{} of 24", requests.len());
        assert_eq!(upstream.connections(), 1);
        for request in requests {
            assert_eq!(request.uri.to_string(), format!("http://{}{base}/x", upstream.address()));
            assert_eq!(request.headers["authorization"], "Bearer t0ken");
            bodies.push(String::from_utf8(request.body).unwrap().parse::<usize>().unwrap());
        }
    }
    bodies.sort_unstable();
    assert_eq!(bodies, (0..24).map(|number| number / 2).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn http2_retry_after_401_works_with_several_urls() {
    let (one, two) = (MockHttp2Upstream::plain().await, MockHttp2Upstream::plain().await);
    let (endpoint, sidekey) = sidekey_with_guarded(&[&one, &two]).await;
    let mut caller = Http2::open(sidekey.address()).await;
    for _ in 0..6 {
        revoke(&endpoint).await;
        let mut stream = caller.begin(post("/api/x")).await;
        stream.send("body", true).await;
        assert_eq!(stream.response().await.text(), "ok");
    }
    assert_eq!(replayed(&sidekey).await, Some(6.0));
    let all = [one.requests(), two.requests()].concat();
    assert!(all.len() == 12 && all.iter().all(|request| request.body == b"body"));
}

#[tokio::test]
async fn http2_unprocessed_request_fails_over_to_another_url() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = MockHttp2Upstream::plain().await;
    let services = format!(
        "api: {{ upstream: ['http://{}/one', '{}/two'], protocol: http2, auth: {{ type: bearer, token: t0ken }} }}",
        listener.local_addr().unwrap(),
        other.url()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/x")).await;
    stream.send("one, ", false).await;
    let mut frames = Frames::accepted(listener.accept().await.unwrap().0).await;
    asked(&mut frames).await;
    assert_eq!(frames.until(Frame::DATA).await.unwrap().payload, b"one, ");
    drop(listener);
    let goaway = [0_u32.to_be_bytes(), u32::from(Reason::NO_ERROR).to_be_bytes()].concat();
    frames.send(Frame::GOAWAY, 0, 0, &goaway).await.unwrap();
    other.received(1).await;
    stream.send("two", true).await;
    assert_eq!(stream.response().await.text(), "ok");
    let request = other.last_request();
    assert_eq!((request.uri.path(), request.body.as_slice()), ("/two/x", &b"one, two"[..]));
    assert_eq!(request.headers["authorization"], "Bearer t0ken");
}

/// Waits for the head of the next request; returns its stream.
async fn asked(frames: &mut Frames) -> u32 {
    frames.until(Frame::HEADERS).await.expect("a request").stream
}

async fn say_ok(frames: &mut Frames, stream: u32) {
    frames.send(Frame::HEADERS, 4 | 1, stream, &fields(&[(":status", "204")])).await.unwrap();
}

#[tokio::test]
async fn http2_only_unprocessed_requests_are_retried() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sidekey = sidekey_with_one_worker(&url, ", protocol: http2").await;
    let address = sidekey.address();
    let call = || {
        tokio::spawn(async move {
            let mut caller = Http2::open(address).await;
            let mut stream = caller.begin(post("/api/x")).await;
            stream.send("body", true).await;
            stream.response().await
        })
    };
    let (calling, accepted) = (call(), listener.accept().await.unwrap().0);
    let mut frames = Frames::accepted(accepted).await;
    let stream = asked(&mut frames).await;
    let refused = u32::from(Reason::REFUSED_STREAM).to_be_bytes();
    frames.send(Frame::RESET, 0, stream, &refused).await.unwrap();
    let stream = asked(&mut frames).await;
    say_ok(&mut frames, stream).await;
    assert_eq!(calling.await.unwrap().status, 204);
    // Two at once: GOAWAY says that the first was processed and the second was not.
    let first = call();
    let read = asked(&mut frames).await;
    let second = call();
    asked(&mut frames).await;
    let goaway = [read.to_be_bytes(), u32::from(Reason::NO_ERROR).to_be_bytes()].concat();
    frames.send(Frame::GOAWAY, 0, 0, &goaway).await.unwrap();
    let mut next = Frames::accepted(listener.accept().await.unwrap().0).await;
    let stream = asked(&mut next).await;
    say_ok(&mut next, stream).await;
    assert_eq!(second.await.unwrap().status, 204);
    // The first may have been processed: when its connection is lost it is not retried.
    drop(frames);
    let response = first.await.unwrap();
    assert_eq!((response.status, response.header("sidekey-error")), (502, Some("upstream_protocol")));
    // Refused twice: the caller gets an error response.
    let third = call();
    for _ in 0..2 {
        let stream = asked(&mut next).await;
        next.send(Frame::RESET, 0, stream, &refused).await.unwrap();
    }
    assert_eq!(third.await.unwrap().header("sidekey-error"), Some("upstream_protocol"));
}

#[tokio::test]
async fn http2_retry_resends_the_streamed_part_of_the_body() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sidekey = sidekey_with_one_worker(&url, ", protocol: http2, retry_on_401: false").await;
    let mut caller = Http2::open(sidekey.address()).await;
    let mut stream = caller.begin(post("/api/x")).await;
    let mut frames = Frames::accepted(listener.accept().await.unwrap().0).await;
    for number in 0..2 {
        stream.send(format!("part {number}, "), false).await;
        if number == 0 {
            asked(&mut frames).await;
        }
        assert_eq!(frames.until(Frame::DATA).await.unwrap().payload, format!("part {number}, ").as_bytes());
    }
    let goaway = [0_u32.to_be_bytes(), u32::from(Reason::NO_ERROR).to_be_bytes()].concat();
    frames.send(Frame::GOAWAY, 0, 0, &goaway).await.unwrap();
    let mut next = Frames::accepted(listener.accept().await.unwrap().0).await;
    let number = asked(&mut next).await;
    stream.send("part 2", true).await;
    let mut body = Vec::new();
    while !body.ends_with(b"part 2") {
        body.extend(next.until(Frame::DATA).await.expect("more of the body").payload);
    }
    assert_eq!(body, b"part 0, part 1, part 2");
    say_ok(&mut next, number).await;
    assert_eq!(stream.response().await.status, 204);
    // A body that no longer fits the buffer is not retried, and the caller gets an error response.
    let mut stream = caller.begin(post("/api/x")).await;
    let number = asked(&mut next).await;
    let window = [(1_u32 << 20).to_be_bytes()].concat();
    next.send(Frame::WINDOW_UPDATE, 0, 0, &window).await.unwrap();
    next.send(Frame::WINDOW_UPDATE, 0, number, &window).await.unwrap();
    stream.send("x".repeat(200_000), false).await;
    let mut seen = 0;
    while seen < 200_000 {
        seen += next.until(Frame::DATA).await.expect("more of the body").payload.len();
    }
    let refused = u32::from(Reason::REFUSED_STREAM).to_be_bytes();
    next.send(Frame::RESET, 0, number, &refused).await.unwrap();
    let response = stream.response().await;
    assert_eq!((response.status, response.header("sidekey-error")), (502, Some("upstream_protocol")));
}
