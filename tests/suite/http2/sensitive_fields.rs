//! A credential is never-indexed on the wire of an HTTP/2 upstream (RFC 7541 §7.1.3): it enters no HPACK
//! table, neither that of a connection that callers share nor that of an intermediary.

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::harness::Representation::{NeverIndexed, NotIndexed};
use crate::harness::flag::{END_HEADERS, END_STREAM};
use crate::harness::{Frame, Frames, HpackReader, Representation, Request, Sidekey, WireField};

/// An HTTP/2 server that reads heads as they are on the wire, and responds 200 to each.
struct WireUpstream {
    listener: TcpListener,
}

impl WireUpstream {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    fn config(&self, auth: &str) -> String {
        let address = self.listener.local_addr().unwrap();
        format!(
            "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nthreads: 1\nreload: {{ interval: 0s }}\nservices:\n  \
             api: {{ upstream: 'http://{address}', protocol: http2, auth: {auth} }}\n"
        )
    }

    /// The heads of the first requests of the next connection.
    async fn heads(&self, count: usize) -> Vec<Vec<WireField>> {
        let mut frames = Frames::accepted(self.listener.accept().await.unwrap().0).await;
        let mut reader = HpackReader::default();
        let mut heads = Vec::new();
        while heads.len() < count {
            let frame = frames.until(Frame::HEADERS).await.expect("a request");
            assert_eq!(frame.flags & !END_STREAM, END_HEADERS, "one frame, without padding or priority");
            heads.push(reader.read(&frame.payload));
            // 8: `:status: 200` of the static table.
            frames.send(Frame::HEADERS, END_HEADERS | END_STREAM, frame.stream, &[0x88]).await.unwrap();
        }
        heads
    }
}

/// Two calls, and the heads of their requests.
async fn two_calls(auth: &str) -> [Vec<WireField>; 2] {
    let upstream = WireUpstream::new().await;
    let sidekey = Sidekey::configured(&upstream.config(auth)).start().await;
    let calls: JoinHandle<()> = tokio::spawn(async move {
        for _ in 0..2 {
            let call =
                Request::get(sidekey.url("/api/a?b=c")).header("x-caller", "same").header("cookie", "d=e");
            assert_eq!(call.send().await.status, 200);
        }
    });
    let heads = upstream.heads(2).await;
    calls.await.unwrap();
    heads.try_into().unwrap()
}

/// The representation and the value of the only field with this name.
fn field<'h>(head: &'h [WireField], name: &str) -> (Representation, &'h str) {
    let mut all = head.iter().filter(|field| field.name == name);
    let field = all.next().unwrap_or_else(|| panic!("no {name} in {head:?}"));
    assert!(all.next().is_none(), "{name} twice in {head:?}");
    (field.representation, &field.value)
}

#[tokio::test]
async fn api_key_header_is_never_indexed_on_shared_connection() {
    let auth = "{ type: api_key, in: header, name: X-Api-Key, value: s3cret-key }";
    let [first, second] = two_calls(auth).await;
    for head in [first, second] {
        assert_eq!(field(&head, "x-caller"), (NotIndexed, "same"), "nothing enters the table");
        assert_eq!(field(&head, "x-api-key"), (NeverIndexed, "s3cret-key"));
    }
}

#[tokio::test]
async fn authorization_and_cookies_are_never_indexed() {
    for head in two_calls("{ type: bearer, token: t0ken }").await {
        assert_eq!(field(&head, "authorization"), (NeverIndexed, "Bearer t0ken"));
        assert_eq!(field(&head, "cookie"), (NeverIndexed, "d=e"), "a caller's own is as secret");
    }
    for head in two_calls("{ type: api_key, in: cookie, name: sid, value: s3cret }").await {
        assert_eq!(field(&head, "cookie"), (NeverIndexed, "d=e; sid=s3cret"));
    }
}

#[tokio::test]
async fn api_key_in_query_is_never_indexed() {
    for head in two_calls("{ type: api_key, in: query, name: key, value: s3cret }").await {
        assert_eq!(field(&head, ":path"), (NeverIndexed, "/a?b=c&key=s3cret"));
    }
}

#[tokio::test]
async fn reloaded_header_name_is_never_indexed() {
    let auth = |name: &str| format!("{{ type: api_key, in: header, name: {name}, value: s3cret }}");
    let upstream = WireUpstream::new().await;
    let sidekey = Sidekey::configured(&upstream.config(&auth("x-one"))).start().await;
    for name in ["x-one", "x-two"] {
        sidekey.reconfigure(&upstream.config(&auth(name)));
        assert!(sidekey.reload().await);
        let call = tokio::spawn(Request::get(sidekey.url("/api/a")).send());
        let head = upstream.heads(1).await.remove(0);
        assert_eq!(field(&head, name), (NeverIndexed, "s3cret"));
        assert_eq!(call.await.unwrap().status, 200);
    }
}
