//! curl as a client.

use std::fmt::Write as _;
use std::process::Command;

use super::super::process::run;
use super::tool;

/// The response to one call.
#[derive(Debug)]
pub struct Curl {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Curl {
    /// Runs `curl ARGUMENTS`, with `input` for `--data-binary @-` or `-T -`. If curl itself fails (such as
    /// with a truncated body), the test fails.
    pub async fn call(arguments: &[&str], input: &[u8]) -> Self {
        let mut command = Command::new(tool("curl"));
        command.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "50"]);
        command.args(["--write-out", "\n%{http_code}"]).args(arguments);
        let output = run(command, input).await;
        assert!(output.status.success(), "curl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        let end = output.stdout.iter().rposition(|&byte| byte == b'\n').unwrap();
        let status = String::from_utf8_lossy(&output.stdout[end + 1..]).parse().unwrap();
        Self { status, body: output.stdout[..end].to_vec() }
    }

    pub async fn get(url: &str) -> Self {
        Self::call(&[url], b"").await
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Many calls of one curl process, one after the other, on one connection if possible.
#[derive(Debug, Default)]
pub struct CurlSession {
    calls: Vec<CurlCall>,
}

#[derive(Debug)]
struct CurlCall {
    url: String,
    options: Vec<String>,
    body: Option<Vec<u8>>,
}

/// The response to one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurlResponse {
    pub status: u16,
    /// The version of HTTP, as in `1.1`.
    pub version: String,
    /// Names in lower case, in the order they came in.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

impl CurlSession {
    /// Adds a call with these options (as in a curl configuration, `name = "value"`) and an optional body.
    pub fn call(&mut self, url: &str, options: &[String], body: Option<&[u8]>) {
        let (url, options) = (url.to_owned(), options.to_vec());
        self.calls.push(CurlCall { url, options, body: body.map(<[u8]>::to_vec) });
    }

    /// Runs the calls; returns a response for each. If curl itself fails, the test fails.
    pub async fn run(self) -> Vec<CurlResponse> {
        answers_to(&self.calls).await
    }
}

async fn answers_to(calls: &[CurlCall]) -> Vec<CurlResponse> {
    let dir = tempfile::TempDir::with_prefix("sidekey-curl-").unwrap();
    let file = |kind: &str, number: usize| dir.path().join(format!("{kind}-{number}"));
    let mut config = String::new();
    for (number, CurlCall { url, options, body }) in calls.iter().enumerate() {
        if number > 0 {
            config.push_str("next\n");
        }
        config.push_str("silent\nshow-error\ngloboff\npath-as-is\nsuppress-connect-headers\nmax-time = 50\n");
        for line in options {
            writeln!(config, "{line}").unwrap();
        }
        // With prior knowledge curl 7.88 has framing errors on each connection that it reuses, with nghttpd
        // too; it does not reuse one from another source address.
        if options.iter().any(|line| line == "http2-prior-knowledge") {
            writeln!(config, "interface = \"127.0.0.{}\"", 2 + number).unwrap();
        }
        if let Some(body) = body {
            std::fs::write(file("sent", number), body).unwrap();
            writeln!(config, "data-binary = \"@{}\"", file("sent", number).display()).unwrap();
        }
        writeln!(config, "dump-header = \"{}\"", file("head", number).display()).unwrap();
        writeln!(config, "output = \"{}\"\nurl = \"{url}\"", file("body", number).display()).unwrap();
    }
    let mut command = Command::new(tool("curl"));
    command.args(["--disable", "--config", "-"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    let output = run(command, config.as_bytes()).await;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "curl: {errors}\n{config}");
    let answer = |number| {
        let head = std::fs::read(file("head", number)).unwrap();
        // If the body is empty, curl creates no file; for HEAD it writes the head into it.
        let is_head = calls[number].options.iter().any(|line| line == "head");
        let body = std::fs::read(file("body", number)).ok().filter(|_| !is_head).unwrap_or_default();
        CurlResponse::parse(&String::from_utf8_lossy(&head), body)
    };
    (0..calls.len()).map(answer).collect()
}

impl CurlResponse {
    /// Parses the received heads, the last of which is the response's, followed by the trailers.
    fn parse(heads: &str, body: Vec<u8>) -> Self {
        assert!(heads.starts_with("HTTP/"), "no answer: {heads:?}");
        let start = heads.rfind("\r\n\r\nHTTP/").map_or(0, |end| end + 4);
        let (head, trailers) = heads[start..].split_once("\r\n\r\n").expect("a whole head");
        let (line, head) = head.split_once("\r\n").unwrap_or((head, ""));
        let mut words = line.split(' ');
        let version = words.next().unwrap().trim_start_matches("HTTP/").to_owned();
        let status = words.next().unwrap().parse().unwrap();
        let fields = |lines: &str| {
            let field = |line: &str| {
                let (name, value) = line.split_once(':').unwrap_or((line, ""));
                (name.to_lowercase(), value.trim().to_owned())
            };
            lines.split("\r\n").filter(|line| !line.is_empty()).map(field).collect()
        };
        Self { status, version, headers: fields(head), body, trailers: fields(trailers) }
    }

    /// The value of the only field of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut all = self.headers.iter().filter(|field| field.0 == name);
        let first = all.next().map(|field| field.1.as_str());
        assert!(all.next().is_none(), "{name} came more than once");
        first
    }
}
