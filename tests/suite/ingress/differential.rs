//! The same requests sent directly to a real server and through Sidekey by each kind of ingress: the
//! responses are equal byte for byte, except for the fields of one connection. Requests are compared by what
//! the servers echo of them.

use crate::harness::{Caddy, CurlResponse, CurlSession, Httpbin, Nginx, Pki, Sidekey};

use super::setup::{Ingress, ingresses, started};

/// Response fields that belong to one connection, or differ between any two responses.
const OWN: [&str; 4] = ["date", "connection", "keep-alive", "transfer-encoding"];

/// One request, independent of the ingress.
struct TestRequest {
    path: String,
    options: Vec<String>,
    body: Option<Vec<u8>>,
}

fn get(path: &str) -> TestRequest {
    TestRequest { path: path.into(), options: Vec::new(), body: None }
}

impl TestRequest {
    fn method(mut self, method: &str) -> Self {
        self.options.push(if method == "HEAD" { "head".into() } else { format!("request = \"{method}\"") });
        self
    }

    fn header(mut self, line: &str) -> Self {
        self.options.push(format!("header = \"{}\"", line.replace('"', "\\\"")));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    fn chunked(self) -> Self {
        self.header("Transfer-Encoding: chunked")
    }
}

fn noise(length: usize) -> Vec<u8> {
    std::iter::repeat_with(|| fastrand::u8(..)).take(length).collect()
}

async fn session(asks: &[TestRequest], base: &str, options: &[String], http2: bool) -> Vec<CurlResponse> {
    let mut session = CurlSession::default();
    for ask in asks {
        // A body without a length needs a field in HTTP/1.1, and must not have it in HTTP/2.
        let own = ask.options.iter().filter(|line| !(http2 && line.contains("Transfer-Encoding")));
        let mut all: Vec<_> = options.iter().chain(own).cloned().collect();
        // In HTTP/1.1 curl sends `Expect` with a large body, and httpbin echoes it.
        all.push("header = \"Expect:\"".into());
        session.call(&format!("{base}{}", ask.path), &all, ask.body.as_deref());
    }
    session.run().await
}

/// The responses without Sidekey, to requests with Sidekey's credential.
async fn directly(asks: &[TestRequest], pki: &Pki, url: &str, http2: bool) -> Vec<CurlResponse> {
    let version = if http2 { "http2" } else { "http1.1" };
    let options = [
        version.to_owned(),
        format!("cacert = \"{}\"", pki.ca_file()),
        "header = \"Authorization: Bearer t0ken\"".to_owned(),
    ];
    session(asks, url, &options, http2).await
}

/// The part that must be equal: all but the fields in [`OWN`] and the version.
fn plain(mut answer: CurlResponse) -> CurlResponse {
    answer.headers.retain(|(name, _)| !OWN.contains(&name.as_str()));
    answer.version = String::new();
    // gzip's header has the time (RFC 1952 §2.3.1), and httpbin compresses each response again.
    if answer.header("content-encoding") == Some("gzip") && answer.header("server") == Some("gunicorn") {
        answer.body[4..8].fill(0);
    }
    answer
}

/// The expected response: the direct one, with a `Location` that leads back to Sidekey.
fn expected(direct: &CurlResponse, ingress: &Ingress, url: &str) -> CurlResponse {
    let mut expected = plain(direct.clone());
    let created = matches!(expected.status, 201 | 300..=399);
    for (name, value) in &mut expected.headers {
        if let ("location" | "content-location", Some(prefix), true) =
            (name.as_str(), ingress.location, created)
        {
            let path = value.strip_prefix(url).unwrap_or(value);
            if path.starts_with('/') {
                *value = format!("{prefix}{path}");
            }
        }
    }
    expected
}

/// Sends all requests by each kind of ingress; `http2` says whether the upstream speaks it.
async fn compare(
    pki: &Pki,
    url: &str,
    protocol: &str,
    asks: &[TestRequest],
    http2: bool,
) -> (Sidekey, Vec<CurlResponse>) {
    let sidekey = started(pki, url, protocol).await;
    let by_http1 = directly(asks, pki, url, false).await;
    let by_http2 = if http2 { directly(asks, pki, url, true).await } else { by_http1.clone() };
    for ingress in ingresses(pki, &sidekey, url) {
        let direct = match protocol {
            "http1" => &by_http1,
            "http2" => &by_http2,
            _ if ingress.http2 => &by_http2,
            _ => &by_http1,
        };
        let through = session(asks, &ingress.base, &ingress.options, ingress.http2).await;
        for ((ask, direct), through) in asks.iter().zip(direct).zip(through) {
            let what = format!("{} {:?} by {}, {protocol}", ask.path, ask.options, ingress.name);
            assert_eq!(through.version, if ingress.http2 { "2" } else { "1.1" }, "{what}");
            let (expected, through) = (expected(direct, &ingress, url), plain(through));
            let both = format!("{what}:\nthrough  {}\ndirectly {}", shown(&through), shown(&expected));
            assert!(through == expected, "{both}");
        }
    }
    (sidekey, by_http1)
}

/// A readable form of the response, without a long body.
fn shown(answer: &CurlResponse) -> String {
    let body = if answer.body.len() > 2000 {
        format!("({} bytes)", answer.body.len())
    } else {
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    format!("{}\n{:?}\n{body:?}\n{:?}", answer.status, answer.headers, answer.trailers)
}

#[tokio::test]
async fn httpbin_responses_are_equal_by_each_ingress() {
    let pki = Pki::new();
    let httpbin = Httpbin::start(&pki).await;
    let anything = || get("/anything/a%20b/%C3%A9;p=1?q=a%20b&q=c+d&empty=&x=%2F%3F");
    let url = httpbin.url();
    let asks = [
        get("/get?show_env=0").header("X-Own: mine").header("Accept: text/*;q=0.3"),
        get("/headers").header("Cookie: a=1; b=\"2\"").header("X-Empty;"),
        get("/headers").header("Accept-Encoding: gzip, br, zstd").header("Range: bytes=0-1"),
        get("/bearer"),
        get("/basic-auth/user/password"),
        get("/hidden-basic-auth/user/password"),
        get("/gzip"),
        get("/deflate"),
        get("/brotli"),
        get("/encoding/utf8"),
        get("/image/png"),
        get("/stream/20"),
        get("/stream-bytes/100000?seed=7&chunk_size=1000"),
        get("/bytes/100000?seed=7"),
        get("/bytes/0?seed=7"),
        get("/drip?duration=0&numbytes=5&code=207&delay=0"),
        get("/range/2048").header("Range: bytes=100-199"),
        get("/range/2048").header("Range: bytes=9999-"),
        get("/range/2048?duration=0&chunk_size=7"),
        get("/etag/e1").header("If-None-Match: \"e1\""),
        get("/cache").header("If-Modified-Since: Sat, 01 Jan 2022 00:00:00 GMT").header("If-None-Match: x"),
        get("/response-headers?X-One=1&X-One=2&Set-Cookie=a%3D1&Set-Cookie=b%3D2&Link=%3Ca%3E"),
        get("/cookies").header("Cookie: session=abc"),
        get("/cookies/set?a=1&b=2"),
        get("/redirect/2"),
        get("/relative-redirect/2"),
        get("/absolute-redirect/2"),
        get("/redirect-to?url=https%3A%2F%2Felsewhere.example%2Fx&status_code=307"),
        get("/redirect-to?url=%2Fget%3Fa%3Db"),
        get("/status/204"),
        get("/status/304"),
        get("/status/401"),
        get("/status/407"),
        get("/status/418"),
        get("/status/503"),
        get("/no/such/path"),
        get("/get").method("HEAD"),
        get("/get").method("OPTIONS"),
        get("/get").method("POST").body(""),
        get("/delete").method("DELETE"),
        get("/patch").method("PATCH").body("{\"a\": 1}").header("Content-Type: application/json"),
        get("/put").method("PUT").body("text").header("Content-Type: text/plain; charset=utf-8"),
        anything(),
        anything().method("POST").body("a=1&b=%26&a=3"),
        anything().method("POST").body(noise(300_000)).header("Content-Type: application/octet-stream"),
        anything().method("POST").body(noise(2_000_000)).header("Content-Type: application/octet-stream"),
        anything().method("POST").header("Content-Type: multipart/form-data; boundary=b").body(
            "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"\r\n\r\nfile\r\n--b--\r\n",
        ),
    ];
    let (_, direct) = compare(&pki, &url, "auto", &asks, false).await;
    // It is the requests that are compared, and not refusals of all of them.
    assert_eq!((direct[0].status, direct[3].status, direct[4].status), (200, 200, 401));
    assert_eq!((direct[6].header("content-encoding"), direct[16].status), (Some("gzip"), 206));
    assert!(String::from_utf8_lossy(&direct[3].body).contains("t0ken"));
}

/// nginx with files, a store, and answers in its own words.
const NGINX_HTTP: &str = r#"
    map $http_authorization:$uri $bare { default 1; "~^Bearer t0ken:" 0; "~:/\.harness/" 0; }
    gzip_types text/plain;
"#;
const NGINX_SERVER: &str = r#"
        if ($bare) { return 401; }
        root $DIR/site;
        default_type text/plain;
        large_client_header_buffers 4 16k;
        location /echo {
            return 200 "$request_method $request_uri $args $http_host $content_type $http_x_own $http_cookie $http_range";
        }
        location /gzip/   { alias $DIR/site/; gzip on; gzip_vary on; }
        location /sum/    { alias $DIR/site/; add_trailer X-Sum 7; add_trailer X-Length $body_bytes_sent; }
        location /listing/{ alias $DIR/site/; autoindex on; autoindex_format json; }
        location /twice   { add_header X-Twice 1; add_header X-Twice 2; add_header Set-Cookie a=1; add_header Set-Cookie b=2; return 200; }
        location /moved   { return 301 /echo?a=%20; }
        location /away    { return 302 https://elsewhere.example/x; }
        location /small   { client_max_body_size 10; dav_methods PUT; }
        location /closing { keepalive_timeout 0; return 200 closing; }
        location /odd     { return 299 "odd status"; }
        location /none    { return 204; }
        location /store/  { root $DIR/stored; dav_methods PUT DELETE MKCOL; create_full_put_path on; etag off; add_header Last-Modified ""; }
"#;

async fn nginx(pki: &Pki) -> Nginx {
    Nginx::https_and_http2(pki, NGINX_HTTP, NGINX_SERVER, async |dir| {
        std::fs::create_dir_all(dir.join("site/folder")).unwrap();
        std::fs::write(dir.join("site/text.txt"), "compressible text, line by line\n".repeat(2000)).unwrap();
        std::fs::write(dir.join("site/large.bin"), noise(3_000_000)).unwrap();
        std::fs::write(dir.join("site/empty.txt"), "").unwrap();
        std::fs::create_dir_all(dir.join("stored/store")).unwrap();
    })
    .await
}

fn of_nginx() -> Vec<TestRequest> {
    let put = |path: &str, body: Vec<u8>| get(path).method("PUT").body(body);
    let large = noise(1_500_000);
    vec![
        get("/text.txt"),
        get("/text.txt").method("HEAD"),
        get("/large.bin"),
        get("/large.bin").header("Range: bytes=1000-2000"),
        get("/large.bin").header("Range: bytes=-5").header("If-Range: \"other\""),
        get("/large.bin").header("Range: bytes=99999999-"),
        get("/empty.txt"),
        get("/gzip/text.txt").header("Accept-Encoding: gzip"),
        get("/gzip/text.txt").header("Accept-Encoding: br"),
        get("/sum/text.txt"),
        get("/sum/large.bin"),
        get("/text.txt").header("If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
        get("/text.txt").header("If-Match: \"other\""),
        get("/listing/"),
        get("/listing/folder"),
        get("/echo/a%20b/%C3%A9;p=1//x?q=a%20b&q=c+d&empty=&x=%2F%3F&%6bey=1"),
        get("/echo?x")
            .header("X-Own: caf\u{e9} , b")
            .header("Cookie: a=1; b=\"2\"")
            .header("Range: bytes=1-2"),
        get("/echo").header(&format!("X-Own: long{}", " long".repeat(1600))),
        get("/echo").method("OPTIONS"),
        get("/echo").method("PROPFIND"),
        get("/twice"),
        get("/moved"),
        get("/away"),
        get("/folder"),
        get("/closing"),
        get("/odd"),
        get("/none"),
        get("/nothing/here"),
        get("/text.txt").method("POST").body("not allowed"),
        put("/store/new/one", large.clone()),
        get("/store/new/one"),
        put("/store/new/one", b"other".to_vec()).chunked(),
        get("/store/new/one"),
        put("/store/new/one", Vec::new()),
        get("/store/new/one"),
        get("/store/new/one").method("DELETE"),
        get("/store/new/one").method("DELETE"),
        get("/store/new/").method("DELETE"),
        get("/store/folder/").method("MKCOL"),
        get("/store/folder/").method("DELETE"),
    ]
}

async fn compare_nginx(protocol: &str) {
    let pki = Pki::new();
    let nginx = nginx(&pki).await;
    let (sidekey, direct) = compare(&pki, &nginx.url(), protocol, &of_nginx(), true).await;
    assert_eq!((direct[0].status, direct[3].status, direct[29].status), (200, 206, 201));
    assert_eq!((direct[7].header("content-encoding"), direct[9].trailers.len()), (Some("gzip"), 2));
    // nginx logs the version of each request.
    let log = nginx.access_log();
    let by_sidekey = log.lines().filter(|line| line.contains("/odd")).collect::<Vec<_>>();
    let http2 = by_sidekey.iter().filter(|line| line.contains("HTTP/2.0")).count();
    let all = ingresses(&pki, &sidekey, &nginx.url());
    let from_http2_callers = all.iter().filter(|ingress| ingress.http2).count();
    // One request of each version is the direct one.
    let expected = 1 + match protocol {
        "http1" => 0,
        "http2" => all.len(),
        _ => from_http2_callers,
    };
    assert_eq!((by_sidekey.len(), http2), (all.len() + 2, expected), "{log}");
}

#[tokio::test]
async fn nginx_responses_are_equal_over_http1_by_each_ingress() {
    compare_nginx("http1").await;
}

#[tokio::test]
async fn nginx_responses_are_equal_over_http2_by_each_ingress() {
    compare_nginx("http2").await;
}

#[tokio::test]
async fn nginx_responses_are_equal_over_auto_by_each_ingress() {
    compare_nginx("auto").await;
}

const CADDY: &str = r#"
        @bare not header Authorization "Bearer t0ken"
        respond @bare "no credential" 401
        encode gzip zstd
        header /twice X-Twice 1
        header /twice +X-Twice 2
        respond /echo* "{http.request.method} {http.request.uri} {http.request.hostport} {http.request.header.X-Own} {http.request.header.Cookie} {http.request.body}"
        redir /moved /echo?a=%20 302
        redir /moved-whole https://{http.request.hostport}/echo?x 308
        redir /away https://elsewhere.example/x
        respond /none 204
        respond /teapot "short and stout" 418
        error /broken "out of order" 500
        respond /twice "twice"
        root * $DIR/site
        file_server browse
"#;

#[tokio::test]
async fn caddy_responses_are_equal_by_each_ingress() {
    let pki = Pki::new();
    let caddy = Caddy::https(&pki, CADDY, |dir| {
        std::fs::create_dir_all(dir.join("site/folder")).unwrap();
        std::fs::write(dir.join("site/text.txt"), "compressible text, line by line\n".repeat(2000)).unwrap();
        std::fs::write(dir.join("site/large.bin"), noise(3_000_000)).unwrap();
    })
    .await;
    let echo = || get("/echo/a%20b/%C3%A9;p=1//x?q=a%20b&q=c+d&empty=&x=%2F%3F");
    let asks = [
        get("/text.txt"),
        get("/text.txt").method("HEAD"),
        get("/text.txt").header("Accept-Encoding: gzip"),
        get("/text.txt").header("Accept-Encoding: zstd"),
        get("/large.bin"),
        get("/large.bin").header("Range: bytes=1000-2000"),
        get("/large.bin").header("Range: bytes=99999999-"),
        get("/folder/").header("Accept: application/json"),
        get("/folder"),
        echo().header("X-Own: mine").header("Cookie: a=1; b=\"2\""),
        echo().method("POST").body("a body"),
        echo().method("POST").body("text ".repeat(100_000)).header("Content-Type: text/plain"),
        echo().method("PUT").body("in pieces").chunked(),
        echo().method("DELETE"),
        echo().method("OPTIONS"),
        get("/twice"),
        get("/moved"),
        get("/moved-whole"),
        get("/away"),
        get("/none"),
        get("/teapot"),
        get("/broken"),
        get("/nothing/here"),
    ];
    for protocol in ["auto", "http2"] {
        let (_, direct) = compare(&pki, &caddy.url(), protocol, &asks, true).await;
        let encodings = [2, 3].map(|number| direct[number].header("content-encoding"));
        assert_eq!((direct[0].status, encodings), (200, [Some("gzip"), Some("zstd")]));
        assert!(String::from_utf8_lossy(&direct[12].body).ends_with("in pieces"));
    }
}
