//! The one request of a test: HTTP/1.1 on a connection of its own, closed after the response head.

use std::io;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::credential::{
    ConnectionFields, CredentialVersion, ForwardedFields, OutboundBody, OutboundRequest, UpstreamResponse,
    Verdict, upstream_errors, write_signed_head,
};
use crate::proto::challenge::{self, Challenge};
use crate::proto::origin_date;
use crate::refresh::clock_skew;
use crate::runtime::service::Service;
use crate::upstream::{ConnectError, Endpoint, ProtocolRequirements, Stream};

/// Maximum size of a response head in bytes.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 128;

/// What is read of the body of an error, in bytes.
const MAX_BODY: usize = 16 * 1024;
/// How long the body of an error is read.
const BODY_LIMIT: Duration = Duration::from_secs(2);

/// The parts of a response that are reported.
#[derive(Debug, PartialEq)]
pub(crate) struct ResponseHead {
    pub(crate) status: u16,
    /// The words of `WWW-Authenticate` that are on a fixed list: the upstream may echo the credential in it.
    pub(crate) challenges: Vec<&'static str>,
    /// How far this machine's clock is ahead of that of the upstream, in seconds, if `Date` states it.
    pub(crate) clock_skew: Option<f64>,
    /// The errors in the body that the kind of the credential knows, each with what it means.
    pub(crate) errors: Vec<(&'static str, &'static str)>,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the connection failed: {0}")]
    Broken(#[from] io::Error),
    #[error("the upstream closed the connection without a response")]
    Closed,
    #[error("the upstream's response is not HTTP/1.1")]
    NotHttp,
    #[error("no response within `timeouts.first_byte`")]
    Timeout,
    #[error("the credential is no longer usable")]
    NoCredential,
}

/// Sends a GET with the service's credential. Retries once if the first response lets the signer do better, such as with the
/// nonce that the upstream requires in a DPoP proof (RFC 9449 §9), or the challenge of Digest.
pub(super) async fn get(service: &Service, to: &Endpoint, path: &str) -> Result<ResponseHead, ProbeError> {
    match once(service, to, path, false).await? {
        (_, Verdict::Retry | Verdict::Again) => Ok(once(service, to, path, true).await?.0),
        (response, _) => Ok(response),
    }
}

async fn once(
    service: &Service,
    to: &Endpoint,
    path: &str,
    is_retry: bool,
) -> Result<(ResponseHead, Verdict), ProbeError> {
    let requirements = ProtocolRequirements { downstream_http2: false, websocket: false };
    let connection = to.connect(requirements, service.upstream.timeouts.connect).await?;
    let mut stream = connection.stream;
    let (head, version) = request(service, to, path)?;
    stream.write_all(&head).await?;
    stream.flush().await?;
    let limit = service.upstream.timeouts.first_byte;
    let observe = |status, fields: &[httparse::Header<'_>]| {
        let response = UpstreamResponse { origin: &to.origin, status, fields, is_retry, can_retry: false };
        service.credential.signer().observe(version, &response)
    };
    let sent_at = SystemTime::now();
    let response = tokio::time::timeout(limit, response(&mut stream, &observe));
    let Received { mut head, date, verdict, rest } = response.await.map_err(|_| ProbeError::Timeout)??;
    head.clock_skew = date.and_then(|date| clock_skew(date, sent_at, SystemTime::now()));
    if head.status >= 300 {
        let body = body(&mut stream, rest).await;
        head.errors = upstream_errors(&service.auth).filter(|(text, _)| states(&body, text)).collect();
    }
    Ok((head, verdict))
}

/// Reads on behind a head: up to a size, a time, or the end. What is missing makes an error less known, and nothing else.
async fn body(stream: &mut Stream, mut bytes: Vec<u8>) -> Vec<u8> {
    let _ = tokio::time::timeout(BODY_LIMIT, async {
        while bytes.len() < MAX_BODY && stream.read_buf(&mut bytes).await.is_ok_and(|read| read > 0) {}
    })
    .await;
    bytes
}

/// Whether a body has this text, and not as a part of a longer word.
fn states(body: &[u8], text: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    memchr::memmem::find_iter(body, text).any(|start| {
        let before = start.checked_sub(1).and_then(|index| body.get(index));
        !is_part(before) && !is_part(body.get(start + text.len()))
    })
}

/// The head of the request, written by the same function as those of callers.
fn request(
    service: &Service,
    to: &Endpoint,
    target: &str,
) -> Result<(zeroize::Zeroizing<Vec<u8>>, CredentialVersion), ProbeError> {
    let signer = service.credential.signer();
    let owned = &**signer.owned();
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let agent = concat!("sidekey/", env!("CARGO_PKG_VERSION"));
    let fields = [
        httparse::Header { name: "User-Agent", value: agent.as_bytes() },
        httparse::Header { name: "Accept", value: b"*/*" },
    ];
    let request = OutboundRequest {
        method: "GET",
        origin: &to.origin,
        authority: &to.authority,
        base_path: &to.base_path,
        path,
        query: query.map(|query| owned.strip_query(query)),
        fields: ForwardedFields::of(&fields, owned),
        body: OutboundBody::Empty,
        after: None,
        subject: None,
        may_probe: false,
    };
    let mut out = zeroize::Zeroizing::new(Vec::with_capacity(4096));
    let connection = ConnectionFields { is_last: true, ..ConnectionFields::default() };
    let (version, _) =
        write_signed_head(&mut out, signer, &request, connection).map_err(|_| ProbeError::NoCredential)?;
    Ok((out, version))
}

/// Passes a response head to the signer.
type Observe<'a> = dyn Fn(u16, &[httparse::Header<'_>]) -> Verdict + Sync + 'a;

/// A response head, and what else came with it.
struct Received {
    head: ResponseHead,
    date: Option<SystemTime>,
    verdict: Verdict,
    /// The start of the body.
    rest: Vec<u8>,
}

async fn response(stream: &mut Stream, observe: &Observe<'_>) -> Result<Received, ProbeError> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        match parse(&bytes, observe)? {
            // An interim response precedes the final one (RFC 9110 §15.2).
            Parsed::Whole { response, length, .. } if response.status < 200 && response.status != 101 => {
                bytes.drain(..length);
                continue;
            }
            Parsed::Whole { response, date, length, verdict } => {
                let rest = bytes.split_off(length);
                return Ok(Received { head: response, date, verdict, rest });
            }
            Parsed::Partial if bytes.len() > MAX_HEAD => return Err(ProbeError::NotHttp),
            Parsed::Partial => {}
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(if bytes.is_empty() { ProbeError::Closed } else { ProbeError::NotHttp });
        }
    }
}

enum Parsed {
    Whole { response: ResponseHead, date: Option<SystemTime>, length: usize, verdict: Verdict },
    Partial,
}

fn parse(bytes: &[u8], observe: &Observe<'_>) -> Result<Parsed, ProbeError> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Response::new(&mut fields);
    let mut parser = httparse::ParserConfig::default();
    // As the data plane does.
    parser.allow_spaces_after_header_name_in_responses(true);
    let parsed = parser.parse_response(&mut head, bytes).map_err(|_| ProbeError::NotHttp)?;
    let httparse::Status::Complete(length) = parsed else { return Ok(Parsed::Partial) };
    let challenges = challenge::challenges(head.headers).iter().flat_map(known).collect();
    let status = head.code.ok_or(ProbeError::NotHttp)?;
    let verdict = if status < 200 { Verdict::Pass } else { observe(status, head.headers) };
    let response = ResponseHead { status, challenges, clock_skew: None, errors: Vec::new() };
    Ok(Parsed::Whole { response, date: origin_date(head.headers), length, verdict })
}

/// The scheme and the error code of a challenge, if they are registered: schemes of the IANA registry, error codes of RFC 6750
/// and RFC 9449. Of Digest also what makes a challenge hard to answer.
fn known(challenge: &Challenge) -> impl Iterator<Item = &'static str> {
    const SCHEMES: [&str; 6] = ["Basic", "Bearer", "Digest", "DPoP", "Negotiate", "NTLM"];
    const ERRORS: [&str; 6] = [
        "invalid_request",
        "invalid_token",
        "insufficient_scope",
        "use_dpop_nonce",
        "invalid_dpop_proof",
        "insufficient_user_authentication",
    ];
    let find = |known: [&'static str; 6], word: &str| {
        known.into_iter().find(|known| known.eq_ignore_ascii_case(word))
    };
    let error = challenge.parameter("error").and_then(|error| find(ERRORS, error));
    let scheme = find(SCHEMES, &challenge.scheme);
    let qop = challenge.parameter("qop").filter(|_| scheme == Some("Digest"));
    let is_auth = |qop: &str| qop.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"));
    let integrity = qop.filter(|qop| !is_auth(qop)).map(|_| "auth-int");
    scheme.into_iter().chain(error).chain(integrity)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn whole(text: &str) -> ResponseHead {
        match parse(text.as_bytes(), &|_, _| Verdict::Pass) {
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
    fn space_before_colon_is_not_part_of_the_name() {
        assert_eq!(whole("HTTP/1.1 401 No\r\nWWW-Authenticate : Bearer\r\n\r\n").challenges, ["Bearer"]);
    }

    #[test]
    fn error_is_stated_by_a_whole_word_only() {
        for (body, is_stated) in [
            ("<Code>AccessDenied</Code>", true),
            (r#"{"code":"AccessDenied"}"#, true),
            ("AccessDenied", true),
            ("AccessDeniedException, AccessDenied.", true),
            ("<Code>AccessDeniedException</Code>", false),
            ("NoAccessDenied", false),
            ("", false),
        ] {
            assert_eq!(states(body.as_bytes(), "AccessDenied"), is_stated, "{body}");
        }
    }

    #[test]
    fn partial_head_is_not_an_error() {
        assert!(matches!(parse(b"HTTP/1.1 200 OK\r\nX", &|_, _| Verdict::Pass), Ok(Parsed::Partial)));
        assert!(matches!(parse(b"", &|_, _| Verdict::Pass), Ok(Parsed::Partial)));
        assert!(matches!(
            parse(b"\x15\x03\x01\x00\x02\x02\x0a", &|_, _| Verdict::Pass),
            Err(ProbeError::NotHttp)
        ));
    }
}
