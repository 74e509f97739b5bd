//! The one request of a test: HTTP/1.1 on a connection of its own, closed after the response head.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::credential::{Injection, Target};
use crate::oauth2::dpop_key::NONCE_HEADER;
use crate::runtime::service::Service;
use crate::upstream::{ConnectError, Endpoint, ProtocolRequirements, Stream};

/// Maximum size of a response head in bytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;

/// The parts of a response head that are reported.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// The words of `WWW-Authenticate` that are on a fixed list: the upstream may echo the credential in it.
    pub(crate) challenges: Vec<&'static str>,
    /// Whether it supplies a nonce for the next DPoP proof.
    pub(crate) new_nonce: bool,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
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

/// Sends a GET with the service's credential. Retries once if the upstream supplies a nonce for the DPoP proof (RFC 9449 §9).
pub(crate) async fn get(service: &Service, to: &Endpoint, path: &str) -> Result<ResponseHead, ProbeError> {
    let response = once(service, to, path).await?;
    if response.status == 401 && response.challenges.contains(&"use_dpop_nonce") && response.new_nonce {
        return once(service, to, path).await;
    }
    Ok(response)
}

async fn once(service: &Service, to: &Endpoint, path: &str) -> Result<ResponseHead, ProbeError> {
    let connection = to
        .connect(
            ProtocolRequirements { downstream_http2: false, websocket: false },
            service.upstream.timeouts.connect,
        )
        .await?;
    let mut stream = connection.stream;
    let request = request(service, to, path).ok_or(ProbeError::NoCredential)?;
    stream.write_all(&request).await?;
    stream.flush().await?;
    let limit = service.upstream.timeouts.first_byte;
    let hears = |nonce: &[u8]| service.credential.hears_nonce(&to.origin, nonce);
    tokio::time::timeout(limit, response(&mut stream, &hears)).await.map_err(|_| ProbeError::Timeout)?
}

/// Writes the request; returns `None` if there is no usable credential.
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

async fn response(
    stream: &mut Stream,
    hears: &(dyn Fn(&[u8]) -> bool + Sync),
) -> Result<ResponseHead, ProbeError> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        match parse(&bytes, hears)? {
            // An interim response precedes the final one (RFC 9110 §15.2).
            Parsed::Whole { response, length } if response.status < 200 && response.status != 101 => {
                bytes.drain(..length);
                continue;
            }
            Parsed::Whole { response, .. } => return Ok(response),
            Parsed::Partial if bytes.len() > MAX_HEAD => return Err(ProbeError::NotHttp),
            Parsed::Partial => {}
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(if bytes.is_empty() { ProbeError::Closed } else { ProbeError::NotHttp });
        }
    }
}

enum Parsed {
    Whole { response: ResponseHead, length: usize },
    Partial,
}

fn parse(bytes: &[u8], hears: &dyn Fn(&[u8]) -> bool) -> Result<Parsed, ProbeError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes).map_err(|_| ProbeError::NotHttp)? else {
        return Ok(Parsed::Partial);
    };
    let challenges = head.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("www-authenticate"));
    let challenges =
        challenges.flat_map(|field| known_words(&String::from_utf8_lossy(field.value))).collect();
    let nonce = head.headers.iter().find(|field| field.name.eq_ignore_ascii_case(NONCE_HEADER.as_str()));
    let new_nonce = nonce.is_some_and(|field| hears(field.value));
    let status = head.code.ok_or(ProbeError::NotHttp)?;
    Ok(Parsed::Whole { response: ResponseHead { status, challenges, new_nonce }, length })
}

/// The schemes of the IANA registry and the error codes of RFC 6750 and RFC 9449 in a challenge.
fn known_words(challenge: &str) -> Vec<&'static str> {
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

    fn whole(text: &str) -> ResponseHead {
        match parse(text.as_bytes(), &|_| false) {
            Ok(Parsed::Whole { response, .. }) => response,
            _ => panic!("{text}"),
        }
    }

    #[test]
    fn challenge_keeps_known_words_only() {
        let head = "HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm=\"CANARY\", error=\"invalid_token\", \
                    error_description=\"CANARY\"\r\nwww-authenticate: basic\r\nX: Digest\r\n\r\n";
        let response = whole(head);
        assert_eq!((response.status, response.challenges), (401, vec!["Bearer", "invalid_token", "Basic"]));
    }

    #[test]
    fn partial_head_is_not_an_error() {
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nX", &|_| false), Ok(Parsed::Partial)));
        assert!(matches!(parse(b"", &|_| false), Ok(Parsed::Partial)));
        assert!(matches!(parse(b"\x15\x03\x01\x00\x02\x02\x0a", &|_| false), Err(ProbeError::NotHttp)));
    }
}
