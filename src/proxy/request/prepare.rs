//! The steps of a request that do not wait: parse, route, sign, and write the head for the upstream.

use memchr::memchr;

use super::audit;
use super::audit::Asked;
use super::authorize;
use super::authorize::Grounds;
use super::caller;
use super::caller::RequestCaller;
use super::destination::{DestinationContext, LeavesBasePath};
use super::not_running;
use super::page;
use super::page::CalledAddress;
use super::rejection::{LoggedRequest, Rejection, Reply};
use super::subject;
use super::wildcard::EndpointSlot;
use crate::callers::{CallerId, Refusal};
use crate::config::Authority;
use crate::credential::{
    BodyNeed, ConnectionFields, CredentialVersion, ForwardedFields, OutboundBody, OutboundRequest,
    PendingBody, SentSecrets, write_signed_head,
};
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::oauth2::caller_tokens::Subject;
use crate::proto::http2::encode_target;
use crate::proto::{max_forwards, method, via};
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::request_id::RequestId;
use crate::proxy::session::ConnectionContext;
use crate::proxy::span::{Span, SpanSource};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{BodyKind, HeaderBuffer, RequestHead, RequestMeta};
use crate::proxy::wire::response_urls::CallerAuthority;
use crate::runtime::base_path::escapes_base_path;
use crate::runtime::route::MatchKind;
use crate::runtime::service::Service;
use crate::upstream::{Endpoint, LimitExceeded, ProtocolRequirements, RequestPermit};

/// The largest request, in bytes, that is certain to be in the buffer when its response comes.
const MAX_PROBE_SIZE: u64 = 32 * 1024;

/// One attempt to send a request: what earlier attempts leave for the head that is written.
pub(crate) struct Attempt<'a> {
    /// URLs of the upstream to which no connection could be opened.
    pub(crate) failed: &'a [&'a Endpoint],
    /// The URL of earlier attempts, which stays that of the request unless it is among `failed`: what its server has given, such as
    /// a nonce, is no other server's.
    pub(crate) endpoint: Option<&'a Endpoint>,
    /// The version of the credential that the upstream has just rejected.
    pub(crate) after: Option<CredentialVersion>,
    /// The span that records the request.
    pub(crate) span: SpanSource<'a>,
    /// The content of the body, if it was read because the credential signs it.
    pub(crate) body: Option<&'a [u8]>,
    /// Whether Sidekey has answered `Expect: 100-continue`.
    pub(crate) is_expect_answered: bool,
    /// Whether the upstream was asked for its challenge, or need not be.
    pub(crate) is_challenged: bool,
    /// Whether the caller's connection is HTTP/2.
    pub(crate) is_http2: bool,
    /// The token of the caller, if an earlier attempt read it.
    pub(crate) subject: Option<&'a Subject>,
    /// The caller, if an earlier attempt found it.
    pub(crate) caller: Identified,
}

impl Attempt<'_> {
    /// The first attempt of a request.
    pub(crate) const FIRST: Self = Self {
        failed: &[],
        endpoint: None,
        after: None,
        span: SpanSource::Start,
        body: None,
        is_expect_answered: false,
        is_challenged: false,
        is_http2: false,
        subject: None,
        caller: Identified::NotYet,
    };
}

/// Whether the caller of a request was found.
#[derive(Clone, Copy)]
pub(crate) enum Identified {
    NotYet,
    /// `None` if it is not known.
    As(Option<CallerId>),
}

/// Why a head was not signed and not written.
#[derive(Clone, Copy)]
pub(crate) enum NotSigned {
    /// There is no usable credential.
    NotReady,
    /// The credential signs the body, which is read first: `max` bytes at most.
    NeedsBody {
        /// The limit in bytes.
        max: usize,
    },
    /// The credential signs the request in another form, which is made of the whole body: `max` bytes at most.
    NeedsRewrite {
        /// The limit in bytes.
        max: usize,
    },
    /// The upstream is asked for its challenge first, because the body cannot be sent again.
    NeedsChallenge,
    /// The credential cannot sign this request, for the reason that the caller gets.
    Refused(&'static str),
}

/// A request that was parsed and routed, and signed if that was possible.
pub(crate) struct PreparedRequest<'p> {
    pub(crate) service: &'p Service,
    /// The URL that the head was written for.
    pub(crate) endpoint: &'p Endpoint,
    pub(crate) meta: RequestMeta,
    /// The version of the credential that signed the head; nothing was written if it was not signed.
    pub(crate) signed: Result<CredentialVersion, NotSigned>,
    /// What the head sends that may be replaced before the response comes.
    pub(crate) sent: SentSecrets,
    pub(crate) method: MethodLabel,
    /// The path without the query, if the access log is on.
    pub(crate) path: Option<String>,
    /// The caller's identifier of the request, if the access log is on.
    pub(crate) request_id: Option<RequestId>,
    /// How the caller named the service.
    pub(crate) matched_by: MatchKind,
    /// The authority that the caller used, for URLs in the response.
    pub(crate) caller_authority: CallerAuthority,
    /// The span that records the request, if this attempt started it.
    pub(crate) span: Option<Box<Span>>,
    /// The caller; `None` if the configuration has no callers.
    pub(crate) caller: Option<RequestCaller<'p>>,
    /// The permit of the caller's limits, if this attempt acquired it.
    pub(crate) caller_permit: Option<RequestPermit<'p>>,
    /// The token of the caller, if the credential needs it and this attempt read it.
    pub(crate) subject: Option<Box<Subject>>,
}

/// Parses and routes a head, signs the request, and writes the upstream's head to `out`. Leaves `out` empty
/// if the request was not signed. `slot` holds the endpoint of the request, if the service does not.
#[expect(clippy::too_many_lines, reason = "the steps of a request, in their order")]
#[expect(clippy::result_large_err, reason = "a rejection is rare, and moved once")]
pub(crate) fn prepare<'p>(
    context: &'p ConnectionContext,
    bytes: &[u8],
    out: &mut Buffer,
    attempt: &Attempt<'_>,
    slot: &'p EndpointSlot,
) -> Result<PreparedRequest<'p>, Rejection<'p>> {
    let mut header_buffer = HeaderBuffer::new();
    let head = parse_head::request(bytes, &mut header_buffer)?;
    let path = || context.snapshot().access_log.then(|| split_query(head.path).0.to_owned());
    let rejection = |service: &'p str, reason, cause: &str| Rejection {
        reply: Reply::Error(ProxyError::new(reason, cause)),
        service,
        method: MethodLabel::of(head.method),
        logged: Some(Box::new(LoggedRequest::of(&head, (!service.is_empty()).then(path).flatten()))),
        is_head: head.meta.is_head,
        keep_alive: head.meta.keep_alive && !head.meta.is_http10 && head.meta.body == BodyKind::Length(0),
        caller: None,
    };
    let snapshot = context.snapshot();
    let within = context.peer.intercepted();
    let (host, absolute) = match within {
        None => (head.host, head.absolute),
        // The credential is sent for the host of the `CONNECT` only, whatever host a request inside it names.
        Some(within) if Authority::is_same(&within.authority, head.host) => (within.authority.as_str(), true),
        Some(_) => return Err(rejection("", ErrorReason::Forbidden, "Host is not the one of the CONNECT")),
    };
    let matched = snapshot.routes.find(context.dedicated_service(), host, absolute, head.path);
    let service =
        matched.as_ref().and_then(|matched| snapshot.services.get(matched.service).map(|service| &**service));
    let address = CalledAddress {
        authority: host,
        is_tls: within.map_or(context.listener.tls.is_some(), |within| within.is_tls),
        is_target: absolute,
    };
    page::check(context, &address, head.page, service.map(|service| &*service.upstream)).map_err(
        |error| {
            let name = service.map_or("", |service| service.name.as_str());
            Rejection { reply: Reply::Error(error), ..rejection(name, ErrorReason::Forbidden, "") }
        },
    )?;
    // Before anything is said about the service.
    let is_first = matches!(attempt.caller, Identified::NotYet);
    let asked = Asked {
        method: head.method,
        path: service.map(|_| head.path),
        service: service.map_or("", |service| service.name.as_str()),
        index: matched.as_ref().and_then(|matched| service.map(|_| matched.service)),
    };
    let caller = match (snapshot.callers.as_deref(), attempt.caller) {
        (None, _) => None,
        (Some(policy), Identified::As(id)) => Some(RequestCaller { policy, id }),
        (Some(policy), Identified::NotYet) => {
            Some(caller::identify(policy, context, head.fields).map_err(|refusal| {
                let name = service.map_or("", |service| service.name.as_str());
                let (unknown, error) =
                    (RequestCaller::unknown(policy), caller::refused(refusal, head.absolute));
                audit::record(context, Some(&unknown), asked, Grounds::default(), Some((refusal, &error)));
                let rejection = rejection(name, ErrorReason::Forbidden, "");
                Rejection { reply: Reply::Error(error), caller: Some(unknown.name()), ..rejection }
            })?)
        }
    };
    let caller_name = caller.as_ref().map(RequestCaller::name);
    let rejection =
        |service, reason, cause: &str| Rejection { caller: caller_name, ..rejection(service, reason, cause) };
    let matched = matched.ok_or_else(|| rejection("", ErrorReason::UnknownService, "no service matches"))?;
    let service = service.ok_or_else(|| {
        let (name, reason) = not_running::why(snapshot, matched.service);
        rejection(name, reason, "the service does not run")
    })?;
    let forbidden = |cause| rejection(&service.name, ErrorReason::Forbidden, cause);
    if method::returns_request(head.method) {
        return Err(forbidden("TRACE would send the credential back"));
    }
    let max_forwards = if head.method == "OPTIONS" { max_forwards::of(head.fields) } else { None };
    if max_forwards == Some(0) {
        let rejection = rejection(&service.name, ErrorReason::BadRequest, "");
        return Err(Rejection { reply: Reply::Options, ..rejection });
    }
    let upstream = &service.upstream;
    let endpoint = match attempt.failed {
        [] => attempt.endpoint.and_then(|before| upstream.same(before)),
        failed => upstream.pick_another(failed),
    };
    let endpoint = match endpoint.or_else(|| upstream.pick()) {
        Some(endpoint) => endpoint,
        None => slot
            .endpoint(upstream.wildcard(), matched.matched_by, host)
            .map_err(|error| Rejection { reply: Reply::Error(error), ..forbidden("") })?,
    };
    if !endpoint.base_path.is_empty() && escapes_base_path(matched.path_and_query) {
        return Err(forbidden("the path leaves the upstream's base path"));
    }
    // The target `*` has no query (RFC 9112 §3.2.4).
    if head.path == "*" && service.credential.signer().owned().has_query() {
        return Err(forbidden("the credential is sent in the query, which `*` has not"));
    }
    let (mut destination, mut condition) = (None, None);
    if service.rewrite_location && (head.destination.is_some() || head.condition.is_some()) {
        let urls = DestinationContext {
            routes: &snapshot.routes,
            dedicated: context.dedicated_service(),
            authority: host,
            matched_by: matched.matched_by,
            service: matched.service,
            endpoint,
        };
        (destination, condition) =
            urls.rewrite(head.destination, head.condition).map_err(|LeavesBasePath| {
                forbidden("a URL in Destination or If leaves the upstream's base path")
            })?;
    }
    let mut caller_permit = None;
    if service.rules.is_some() || caller.is_some() || (snapshot.audit.is_some() && is_first) {
        let subject = authorize::Subject {
            service,
            index: matched.service,
            head: &head,
            endpoint,
            target: split_query(matched.path_and_query),
            destination: destination.as_deref(),
            requires_caller: context.listener.requires_caller,
        };
        let grounds = authorize::check(&subject, caller.as_ref()).map_err(|denied| {
            let refused = Some((denied.refusal, &denied.error));
            audit::record(context, caller.as_ref(), asked, denied.grounds, refused);
            Rejection { reply: Reply::Error(denied.error), ..forbidden("") }
        })?;
        if is_first {
            caller_permit = acquire(caller.as_ref()).map_err(|error| {
                audit::record(context, caller.as_ref(), asked, grounds, Some((Refusal::Limit, &error)));
                Rejection { reply: Reply::Error(error), ..forbidden("") }
            })?;
            audit::record(context, caller.as_ref(), asked, grounds, None);
        }
    }
    let has_rules = service.rules.is_some()
        || caller.as_ref().is_some_and(|caller| caller.policy.has_rules(matched.service));
    let subject = if service.takes_subject && attempt.subject.is_none() {
        let read = subject::of(context, caller.as_ref(), head.fields);
        Some(read.map_err(|error| Rejection { reply: Reply::Error(error), ..forbidden("") })?)
    } else {
        None
    };
    let (started, existing) = match (attempt.span, &snapshot.tracer) {
        (SpanSource::Start, Some(tracer)) => (Span::begin(tracer, &head, matched.path_and_query), None),
        (SpanSource::Start, None) => (None, None),
        (SpanSource::Existing(span), _) => (None, span),
    };
    let recorded = started.as_deref().or(existing);
    let max_forwards = max_forwards.map(|number| number.saturating_sub(1));
    let rewritten = Rewritten {
        path_and_query: matched.path_and_query,
        destination: destination.as_deref(),
        condition: condition.as_deref(),
        max_forwards,
    };
    let token = subject.as_deref().or(attempt.subject);
    let signed = sign(service, endpoint, &head, rewritten, bytes.len(), attempt, token, recorded, out);
    let (signed, sent) =
        signed.map_or_else(|why| (Err(why), SentSecrets::new()), |(version, sent)| (Ok(version), sent));
    let (method, path, matched_by) = (MethodLabel::of(head.method), path(), matched.matched_by);
    Ok(PreparedRequest {
        service,
        endpoint,
        method,
        request_id: path.as_ref().and_then(|_| RequestId::of(head.fields, &service.removed)),
        path,
        matched_by,
        caller_authority: if service.rewrite_location {
            CallerAuthority::of(host)
        } else {
            CallerAuthority::default()
        },
        meta: RequestMeta { has_rules, ..head.meta },
        signed,
        sent,
        span: started,
        caller,
        caller_permit,
        subject,
    })
}

/// Acquires the permit of the caller's limits.
fn acquire<'p>(caller: Option<&RequestCaller<'p>>) -> Result<Option<RequestPermit<'p>>, ProxyError> {
    let Some(caller) = caller else { return Ok(None) };
    caller.policy.try_acquire(caller.id).map_err(|exceeded| {
        let cause = format!("the caller {}: {}", caller.name(), exceeded.cause);
        ProxyError::from(LimitExceeded { cause, ..exceeded })
    })
}

/// The parts of the caller's request that are rewritten for the upstream.
#[derive(Clone, Copy)]
struct Rewritten<'a> {
    path_and_query: &'a str,
    destination: Option<&'a str>,
    condition: Option<&'a str>,
    /// The caller's `Max-Forwards`, less one.
    max_forwards: Option<u64>,
}

/// Signs the request as it will be sent, and writes its head to `out`.
#[expect(clippy::too_many_arguments, reason = "the one place where all parts of a request meet")]
fn sign(
    service: &Service,
    endpoint: &Endpoint,
    head: &RequestHead<'_, '_>,
    rewritten: Rewritten<'_>,
    head_length: usize,
    attempt: &Attempt<'_>,
    subject: Option<&Subject>,
    span: Option<&Span>,
    out: &mut Buffer,
) -> Result<(CredentialVersion, SentSecrets), NotSigned> {
    let signer = service.credential.signer();
    let body = match (head.meta.body, attempt.body) {
        (BodyKind::Length(0), _) => OutboundBody::Empty,
        (_, Some(content)) => OutboundBody::Complete(content),
        (_, None) => match signer.body(&PendingBody {
            origin: &endpoint.origin,
            fields: head.fields,
            length: head.meta.body.length(),
        }) {
            BodyNeed::None => OutboundBody::Streaming,
            BodyNeed::Challenge if attempt.is_challenged => OutboundBody::Streaming,
            BodyNeed::Challenge => return Err(NotSigned::NeedsChallenge),
            BodyNeed::Complete { max } => return Err(NotSigned::NeedsBody { max }),
            BodyNeed::Rewrite { max } => return Err(NotSigned::NeedsRewrite { max }),
            BodyNeed::Refused(why) => return Err(NotSigned::Refused(why)),
        },
    };
    let target = match rewritten.path_and_query {
        // HTTP/2 has a target in one form only, which must be the one that is signed.
        target if endpoint.may_share(protocol_requirements(&head.meta, attempt.is_http2)) => {
            encode_target(target)
        }
        target => target.into(),
    };
    let (path, query) = split_query(&target);
    let owned = &*service.removed;
    let request = OutboundRequest {
        method: head.method,
        origin: &endpoint.origin,
        authority: &endpoint.authority,
        base_path: &endpoint.base_path,
        path,
        query: query.map(|query| owned.strip_query(query)),
        fields: ForwardedFields {
            all: head.fields,
            of_caller: head.fields,
            owned,
            has_connection_options: head.has_connection_options,
            replaces_traceparent: span.is_some(),
            drops_tracestate: span.is_some_and(|span| span.context.parent.is_none()),
            drops_expect: attempt.is_expect_answered,
            replaces_max_forwards: rewritten.max_forwards.is_some(),
            replaces_accept_encoding: service.reads_responses,
            destination: rewritten.destination.map(str::as_bytes),
            condition: rewritten.condition.map(str::as_bytes),
        },
        body,
        after: attempt.after,
        subject,
        may_probe: matches!(
            head.meta.body,
            BodyKind::Length(body) if body.saturating_add(head_length as u64) <= MAX_PROBE_SIZE
        ),
    };
    let traceparent = span.map(|span| span.context.to_string());
    let connection = ConnectionFields {
        is_chunked: head.meta.body == BodyKind::Chunked,
        is_websocket: head.meta.is_websocket,
        wants_trailers: head.meta.wants_trailers,
        is_last: false,
        traceparent: traceparent.as_deref(),
        max_forwards: rewritten.max_forwards,
        via: service.via.then(|| via::value(head.meta.is_http10, attempt.is_http2)),
    };
    let written = write_signed_head(out.bytes_mut(), signer, &request, connection);
    out.mark_secret();
    written.map_err(|_| signer.refusal(&request).map_or(NotSigned::NotReady, NotSigned::Refused))
}

/// What decides the version of HTTP in which a request is sent.
pub(super) fn protocol_requirements(meta: &RequestMeta, is_http2: bool) -> ProtocolRequirements {
    ProtocolRequirements { downstream_http2: is_http2, websocket: meta.is_websocket }
}

/// Splits a request target into path and query. Searches bytes, because this is done for every request.
fn split_query(target: &str) -> (&str, Option<&str>) {
    match memchr(b'?', target.as_bytes()) {
        Some(mark) => (&target[..mark], Some(&target[mark + 1..])),
        None => (target, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::services::connections;

    /// Whether a request at the listener of a service is accepted.
    fn accepts(service: &str, head: &str) -> bool {
        let (_, context) = connections().into_iter().find(|(known, _)| known.name == service).unwrap();
        let mut out = Buffer::acquire();
        let is_accepted =
            prepare(&context, head.as_bytes(), &mut out, &Attempt::FIRST, &EndpointSlot::new()).is_ok();
        assert_eq!(is_accepted, !out.is_empty());
        is_accepted
    }

    #[test]
    fn options_asterisk_without_place_for_key_is_rejected() {
        let head = "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n";
        assert!(accepts("header", head));
        assert!(!accepts("query", head));
        assert!(!accepts("bearer", head), "the whole server is outside of the base path");
    }

    #[test]
    fn destination_with_tab_in_dot_segment_is_rejected() {
        let head = |path| format!("COPY /x HTTP/1.1\r\nHost: a\r\nDestination: {path}\r\n\r\n");
        assert!(accepts("bearer", &head("/y")));
        assert!(!accepts("bearer", &head("/../y")));
        assert!(!accepts("bearer", &head("/.\t./y")));
    }
}
