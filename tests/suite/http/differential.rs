//! The same bytes sent directly to an upstream and through Sidekey: both ends see the same, except for
//! `Host`, the credential and the fields of one connection.

use crate::harness::{Connection, Fields, MockResponse, MockUpstream, RecordedRequest, Response, Sidekey};

/// Fields that belong to one connection, or that Sidekey writes.
const OWN: [&str; 9] = [
    "host",
    "authorization",
    "connection",
    "keep-alive",
    "te",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
    "proxy-authorization",
];

fn requests() -> Vec<(&'static str, String)> {
    let get =
        |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let with = |method: &str, fields: &str, body: &str| {
        format!("{method} /x HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}")
    };
    vec![
        ("GET", get("/", "")),
        ("GET", get("/a/../b//%2f?x=%20&y=+&z", "")),
        ("GET", get("/?", "Accept: a\r\naccept: b\r\nAccept: a\r\n")),
        ("GET", get("/x", "X-Space:   padded value \t \r\nX-Empty:\r\nx_under: 1\r\n")),
        ("GET", get("/x", "Range: bytes=1-2,5-\r\nIf-Range: \"e\"\r\nCache-Control: no-cache\r\n")),
        ("GET", get("/x", "Cookie: a=1; b=\"2\"\r\nCookie: a=3\r\n")),
        ("GET", get("/x", "Authorization: Basic evil\r\n")),
        ("GET", get("/x", "TE: trailers\r\nConnection: TE\r\n")),
        (
            "GET",
            get("/x", "X-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nVia: 1.0 y\r\nMax-Forwards: 3\r\n"),
        ),
        ("HEAD", with("HEAD", "", "")),
        ("DELETE", with("DELETE", "", "")),
        ("OPTIONS", with("OPTIONS", "Content-Length: 0\r\n", "")),
        ("POST", with("POST", "Content-Length: 0\r\n", "")),
        ("POST", with("POST", "Content-Length: 11\r\nContent-Type: text/plain\r\n", "hello world")),
        ("GET", with("GET", "Content-Length: 2\r\n", "{}")),
        ("PUT", with("PUT", "Content-Encoding: br\r\nContent-Length: 3\r\n", "\0\u{1}\u{2}")),
        ("PATCH", with("PATCH", "Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")),
        (
            "POST",
            with(
                "POST",
                "Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n",
                "3;e=1\r\nabc\r\n0\r\nX-Sum: 1\r\nx-b:2\r\n\r\n",
            ),
        ),
        ("M-SEARCH", with("M-SEARCH", "MAN: \"ssdp:discover\"\r\n", "")),
    ]
}

fn answers() -> Vec<MockResponse> {
    vec![
        MockResponse::ok("plain"),
        MockResponse::status(204).header("X-A", "1"),
        MockResponse::status(304).header("ETag", "\"x\""),
        MockResponse::status(404).header("Set-Cookie", "a=1").header("set-cookie", "b=2").body("none"),
        MockResponse::status(302).header("Location", "/elsewhere?a=%20"),
        MockResponse::ok(vec![0, 1, 2, 255]).header("Content-Encoding", "gzip").header("Vary", "*"),
        MockResponse::ok("in chunks, with a sum").chunked(4).trailer("X-Sum", "1").trailer("x-sum", "2"),
        MockResponse::ok("").chunked(4),
        MockResponse::ok("late").after_informational("103 Early Hints\r\nLink: <a>"),
        MockResponse::status(500).header("X-Empty", "").body("broken").close(),
    ]
}

async fn ask(url: &str, method: &str, bytes: &str) -> Response {
    let mut client = Connection::open(url.strip_prefix("http://").unwrap().parse().unwrap()).await;
    client.send(bytes).await;
    client.response_to(method).await.unwrap()
}

fn shared(fields: &Fields) -> Vec<&(String, String)> {
    fields.0.iter().filter(|(name, _)| !OWN.contains(&name.to_ascii_lowercase().as_str())).collect()
}

fn assert_same_request(direct: &RecordedRequest, through: &RecordedRequest) {
    assert_eq!(
        (&direct.method, &direct.target, &direct.version, &direct.body, &direct.trailers, direct.complete),
        (
            &through.method,
            &through.target,
            &through.version,
            &through.body,
            &through.trailers,
            through.complete
        )
    );
    assert_eq!(shared(&direct.headers), shared(&through.headers));
    for framing in ["transfer-encoding", "te"] {
        assert_eq!(direct.headers.first(framing), through.headers.first(framing));
    }
    assert_eq!(through.header("authorization"), Some("Bearer t0ken"));
}

fn assert_same_response(direct: &Response, through: &Response) {
    assert_eq!(
        (&direct.start_line, &direct.body, &direct.trailers, direct.complete, &direct.informational),
        (&through.start_line, &through.body, &through.trailers, through.complete, &through.informational)
    );
    assert_eq!(shared(&direct.headers), shared(&through.headers));
}

#[tokio::test]
async fn proxied_exchange_equals_direct_exchange() {
    let upstream = MockUpstream::plain().await;
    let services = format!(
        "api: {{ upstream: '{}', listen: '127.0.0.1:0', auth: {{ type: bearer, token: t0ken }} }}",
        upstream.url()
    );
    let sidekey = Sidekey::serving(&services).start().await;
    for (method, bytes) in requests() {
        for answer in answers() {
            upstream.always(answer);
            let direct = ask(&upstream.url(), method, &bytes).await;
            let direct_request = upstream.last_request();
            let through = ask(&sidekey.service_url("api", ""), method, &bytes).await;
            assert_same_request(&direct_request, &upstream.last_request());
            assert_same_response(&direct, &through);
        }
    }
}
