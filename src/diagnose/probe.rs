//! The one request of a trial: HTTP/1.1 on a connection of its own, closed after the answer's head.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::credential::{Injection, Target};
use crate::oauth2::dpop_key::NONCE_HEADER;
use crate::runtime::service::Service;
use crate::upstream::{ConnectError, Endpoint, ProtocolRequirements, Stream};

/// No answer's head is larger.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 128;

/// The head of an answer, as far as it may be known.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What `WWW-Authenticate` says, in known words alone: the upstream may write back what it was sent.
    pub(crate) challenges: Vec<&'static str>,
    /// It brought a nonce for the next proof.
    pub(crate) new_nonce: bool,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection broke: {0}")]
    Broken(#[from] io::Error),
    #[error("the upstream closed the connection without an answer")]
    Closed,
    #[error("the upstream's answer is not HTTP/1.1")]
    NotHttp,
    #[error("no answer within `timeouts.first_byte`")]
    Timeout,
    #[error("the credential is not usable any more")]
    NoCredential,
}

/// Sends a GET with the service's credential; once more where the upstream wants its nonce in the proof (RFC 9449 §9).
pub(crate) async fn get(service: &Service, to: &Endpoint, path: &str) -> Result<Answer, CallError> {
    let answer = once(service, to, path).await?;
    if answer.status == 401 && answer.challenges.contains(&"use_dpop_nonce") && answer.new_nonce {
        return once(service, to, path).await;
    }
    Ok(answer)
}

async fn once(service: &Service, to: &Endpoint, path: &str) -> Result<Answer, CallError> {
    let connection = to
        .connect(
            ProtocolRequirements { downstream_http2: false, websocket: false },
            service.upstream.timeouts.connect,
        )
        .await?;
    let mut stream = connection.stream;
    let request = request(service, to, path).ok_or(CallError::NoCredential)?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    let limit = service.upstream.timeouts.first_byte;
    let hears = |nonce: &[u8]| service.credential.hears_nonce(&to.origin, nonce);
    tokio::time::timeout(limit, answer(&mut stream, &hears)).await.map_err(|_| CallError::Timeout)?
}

/// The request; `None` where there is no credential to put into it.
fn request(service: &Service, to: &Endpoint, path: &str) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    let target = Target {
        method: "GET",
        origin: &to.origin,
        base_path: &to.base_path,
        rest: path,
        refused: None,
        may_try: false,
    };
    let (injection, _) = service.credential.injection(&target)?;
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(4096));
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| out.extend_from_slice(part));
    put(&[b"GET ", to.base_path.as_bytes(), path.as_bytes()]);
    if let Injection::Query(parameter) = &injection {
        put(&[if path.contains('?') { b"&" } else { b"?" }, parameter.as_bytes()]);
    }
    let agent = concat!("sidekey/", env!("CARGO_PKG_VERSION"));
    put(&[b" HTTP/1.1\r\nHost: ", to.authority.as_bytes(), b"\r\nUser-Agent: ", agent.as_bytes()]);
    put(&[b"\r\nAccept: */*\r\nConnection: close\r\n"]);
    match &injection {
        Injection::Header(name, value) => put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]),
        Injection::Cookie(pair) => put(&[b"Cookie: ", pair.as_bytes(), b"\r\n"]),
        Injection::Proven { authorization, proof } => {
            put(&[b"Authorization: ", authorization.as_bytes(), b"\r\nDPoP: ", proof.as_bytes(), b"\r\n"]);
        }
        Injection::Query(_) => {}
    }
    put(&[b"\r\n"]);
    Some(out)
}

async fn answer(stream: &mut Stream, hears: &(dyn Fn(&[u8]) -> bool + Sync)) -> Result<Answer, CallError> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        match parse(&bytes, hears)? {
            // Interim answers announce the real one.
            Parsed::Whole { answer, length } if answer.status < 200 && answer.status != 101 => {
                bytes.drain(..length);
                continue;
            }
            Parsed::Whole { answer, .. } => return Ok(answer),
            Parsed::Partial if bytes.len() > MAX_HEAD => return Err(CallError::NotHttp),
            Parsed::Partial => {}
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(if bytes.is_empty() { CallError::Closed } else { CallError::NotHttp });
        }
    }
}

enum Parsed {
    Whole { answer: Answer, length: usize },
    Partial,
}

fn parse(bytes: &[u8], hears: &dyn Fn(&[u8]) -> bool) -> Result<Parsed, CallError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|_| CallError::NotHttp)? else {
        return Ok(Parsed::Partial);
    };
    let challenges = head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("www-authenticate"));
    let challenges = challenges.flat_map(|field| known(&String::from_utf8_lossy(field.value))).collect();
    let nonce = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(NONCE_HEADER.as_str()));
    let new_nonce = nonce.is_some_and(|field| hears(field.value));
    let status = head.code.ok_or(CallError::NotHttp)?;
    Ok(Parsed::Whole { answer: Answer { status, challenges, new_nonce }, length })
}

/// Schemes of the IANA registry and error codes of RFC 6750 and RFC 9449 that stand in a challenge.
fn known(challenge: &str) -> Vec<&'static str> {
    const WORDS: [&str; 12] = [
        "Basic",
        "Bearer",
        "Digest",
        "DPoP",
        "Negotiate",
        "NTLM",
        "invalid_request",
        "invalid_token",
        "insufficient_scope",
        "use_dpop_nonce",
        "invalid_dpop_proof",
        "insufficient_user_authentication",
    ];
    let words = challenge.split([' ', ',', '"', '=', ';', '\t']);
    words.filter_map(|word| WORDS.into_iter().find(|known| known.eq_ignore_ascii_case(word))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn whole(text: &str) -> Answer {
        match parse(text.as_bytes(), &|_| false) {
            Ok(Parsed::Whole { answer, .. }) => answer,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn a_challenge_is_read_in_known_words_alone() {
        let head = "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"CANARY\", error=\"invalid_token\", \
                    error_description=\"CANARY\"\r\nwww-authenticate: basic\r\nX: Digest\r\n\r\n";
        let answer = whole(head);
        assert_eq!((answer.status, answer.challenges), (401, vec!["Bearer", "invalid_token", "Basic"]));
    }

    #[test]
    fn what_is_not_http_is_told_from_what_is_not_there_yet() {
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nX", &|_| false), Ok(Parsed::Partial)));
        assert!(matches!(parse(b"", &|_| false), Ok(Parsed::Partial)));
        assert!(matches!(parse(b"\x15\x03\x01\x00\x02\x02\x0a", &|_| false), Err(CallError::NotHttp)));
    }
}
