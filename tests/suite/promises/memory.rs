//! A secret that is not in use any more is nowhere in the memory of the process: not as it is, and not in Base64.
//!
//! The process is started with `hardening: none`, without which only root could read its memory.

use std::fs::{File, read_to_string};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memmem;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{
    MockHttp2Upstream, MockTokenEndpoint, MockTokenResponse, MockUpstream, Sidekey, TIMEOUT,
    assert_eventually,
};

/// Bytes around a text that is found, which tell what has it.
const CONTEXT: usize = 64;
/// Bytes of a page.
const PAGE: u64 = 4096;

/// The writable memory of a process, without the pages that were never touched: the allocator reserves a gigabyte.
fn memory(process: u32) -> Vec<Vec<u8>> {
    let maps = read_to_string(format!("/proc/{process}/maps")).unwrap();
    let (memory, pages) = (format!("/proc/{process}/mem"), format!("/proc/{process}/pagemap"));
    let (memory, pages) = (File::open(memory).unwrap(), File::open(pages).unwrap());
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|address| u64::from_str_radix(address, 16).unwrap() / PAGE);
        let mut entries = vec![0; usize::try_from(end - start).unwrap() * 8];
        // A region may be gone by now.
        if pages.read_exact_at(&mut entries, start * 8).is_err() {
            continue;
        }
        // The highest bit says that a page is present.
        let entries: Vec<_> = entries.chunks(8).map(|entry| entry[7] & 0x80 != 0).collect();
        let mut page = start;
        for run in entries.chunk_by(|one, other| one == other) {
            let mut bytes = vec![0; if run[0] { run.len() * usize::try_from(PAGE).unwrap() } else { 0 }];
            if memory.read_exact_at(&mut bytes, page * PAGE).is_ok() {
                found.push(bytes);
            }
            page += run.len() as u64;
        }
    }
    found
}

/// Those of these texts that are in the memory of a process, with what is around them.
fn found(process: u32, texts: &[String]) -> Vec<String> {
    let memory = memory(process);
    let around = |text: &String| {
        memory.iter().find_map(|bytes| {
            let at = memmem::find(bytes, text.as_bytes())?;
            let end = bytes.len().min(at + text.len() + CONTEXT);
            Some(bytes[at.saturating_sub(CONTEXT)..end].escape_ascii().to_string())
        })
    };
    texts.iter().filter_map(around).collect()
}

/// Secrets that no other text in memory is like.
fn secret(name: &str, generation: u32) -> String {
    let random: String = (0..24).map(|_| fastrand::alphanumeric()).collect();
    format!("{name}-{generation}-{random}")
}

/// The texts that would reveal a secret: itself, and the Base64 of `user:secret`.
fn forms(secret: &str) -> [String; 2] {
    [secret.to_owned(), BASE64_STANDARD.encode(format!("user:{secret}"))]
}

/// Asserts that these secrets leave the memory.
async fn assert_gone(sidekey: &Sidekey, what: &str, secrets: &[String]) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let all: Vec<_> = secrets.iter().flat_map(|secret| forms(secret)).collect();
        let left = found(sidekey.process_id(), &all);
        if left.is_empty() {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: still in memory: {left:?}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Services with one secret each, read from files.
fn services(upstream: &MockUpstream, http2: &MockHttp2Upstream) -> String {
    let (one, two) = (upstream.url(), http2.url());
    format!(
        "basic: {{ upstream: '{one}', auth: {{ type: basic, username: user, password: {{ file: $DIR/basic }} }} }}\n\
         bearer: {{ upstream: '{one}', auth: {{ type: bearer, token: {{ file: $DIR/bearer }} }} }}\n\
         query: {{ upstream: '{one}', auth: {{ type: api_key, in: query, name: key, value: {{ file: $DIR/query }} }} }}\n\
         hmac: {{ upstream: '{one}', auth: {{ type: hmac, header: X-Sig, parts: [method], key: {{ file: $DIR/hmac }} }} }}\n\
         command: {{ upstream: '{one}', auth: {{ type: bearer, token: {{ exec: [cat, $DIR/command] }} }} }}\n\
         http2: {{ upstream: '{two}', protocol: http2, auth: {{ type: bearer, token: {{ file: $DIR/http2 }} }} }}\n"
    )
}

const NAMES: [&str; 6] = ["basic", "bearer", "query", "hmac", "command", "http2"];

async fn call_all(sidekey: &Sidekey) {
    for name in NAMES {
        for _ in 0..3 {
            assert_eq!(sidekey.get(&format!("/{name}/x")).await.status, 200, "{name}");
        }
    }
}

#[tokio::test]
async fn rotated_and_removed_secrets_are_not_in_memory() {
    let (upstream, http2) = (MockUpstream::plain().await, MockHttp2Upstream::plain().await);
    let old: Vec<_> = NAMES.iter().map(|name| secret(name, 1)).collect();
    let new: Vec<_> = NAMES.iter().map(|name| secret(name, 2)).collect();
    let plain = secret("plain", 1);
    let with_plain = services(&upstream, &http2)
        + &format!("plain: {{ upstream: '{}', auth: {{ type: bearer, token: {plain} }} }}\n", upstream.url());
    let mut builder = Sidekey::serving(&with_plain).traceable();
    for (name, secret) in NAMES.iter().zip(&old) {
        builder = builder.file(name, secret);
    }
    let sidekey = builder.start().await;
    call_all(&sidekey).await;
    assert_eq!(sidekey.get("/plain/x").await.status, 200);
    for secret in old.iter().chain([&plain]) {
        let is_found = !found(sidekey.process_id(), &forms(secret)).is_empty();
        // The key of HMAC is kept as the state of its digest.
        assert!(is_found || secret.starts_with("hmac"), "{secret} is found while it is in use");
    }
    for (name, secret) in NAMES.iter().zip(&new) {
        sidekey.write(name, secret);
    }
    sidekey.reconfigure(&Sidekey::configuration_serving(&services(&upstream, &http2)));
    assert!(sidekey.reload().await);
    call_all(&sidekey).await;
    assert_gone(&sidekey, "rotated or removed", &[old, vec![plain]].concat()).await;
    sidekey.reconfigure(&Sidekey::configuration_serving(&format!(
        "other: {{ upstream: '{}', auth: {{ type: bearer, token: t }} }}",
        upstream.url()
    )));
    assert!(sidekey.reload().await);
    assert_gone(&sidekey, "removed", &new).await;
}

#[tokio::test]
async fn spent_tokens_and_old_client_secret_are_not_in_memory() {
    let (upstream, endpoint) = (MockUpstream::plain().await, MockTokenEndpoint::plain().await);
    let client: Vec<_> = (1..=2).map(|number| secret("client", number)).collect();
    let password = secret("password", 1);
    let refresh: Vec<_> = (1..=3).map(|number| secret("refresh", number)).collect();
    let access: Vec<_> = (1..=3).map(|number| secret("access", number)).collect();
    for (index, lifetime) in [2, 2, 3600].into_iter().enumerate() {
        endpoint.next(MockTokenResponse::json(&json!({
            "access_token": access[index], "refresh_token": refresh[index], "expires_in": lifetime,
        })));
    }
    let config = format!(
        "api: {{ upstream: '{}', auth: {{ type: oauth2, grant_type: password, token_url: '{}', client_id: user, username: user, \
         client_secret: {{ file: $DIR/client }}, password: {{ file: $DIR/password }} }} }}",
        upstream.url(),
        endpoint.url()
    );
    let builder =
        Sidekey::serving(&config).traceable().file("client", &client[0]).file("password", &password);
    let sidekey = builder.start_ready().await;
    assert_eq!(sidekey.get("/api/x").await.status, 200);
    assert_eq!(found(sidekey.process_id(), &access[..1]).len(), 1, "the token is found while it is in use");
    endpoint.received(3).await;
    assert_eventually(TIMEOUT, "the third token is used", async || {
        sidekey.get("/api/x").await.status == 200
            && upstream.requests().last().unwrap().header("authorization")
                == Some(format!("Bearer {}", access[2]).as_str())
    })
    .await;
    assert_gone(&sidekey, "spent", &[&refresh[..2], &access[..2]].concat()).await;
    endpoint.next(MockTokenResponse::json(&json!({ "access_token": "last", "expires_in": 3600 })));
    sidekey.write("client", &client[1]);
    assert!(sidekey.reload().await);
    endpoint.received(4).await;
    assert_eventually(TIMEOUT, "the last token is used", async || {
        sidekey.get("/api/x").await.status == 200
            && upstream.requests().last().unwrap().header("authorization") == Some("Bearer last")
    })
    .await;
    assert_gone(&sidekey, "rotated", &client[..1]).await;
}
