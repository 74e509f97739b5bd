//! All of a request that needs no waiting: parse, route, and write the head for the upstream.
//!
//! [`prepare`] is the only place that writes such a head, and it writes none without a credential: never bare.

use crate::credential::{Target, Used};
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::proxy::ConnectionContext;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::proxy::span::{Span, SpanSource};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{BodyKind, HeaderBuffer, RequestMeta};
use crate::proxy::wire::write_head;
use crate::runtime::route::{MatchKind, escapes_base_path, same_authority};
use crate::runtime::service::Service;
use crate::upstream::Endpoint;

/// A request of so many bytes at most is whole in the buffer when its answer comes.
const SMALL: u64 = 32 * 1024;

/// What is known of a request once it is routed.
pub(crate) struct PreparedRequest<'p> {
    pub(crate) service: &'p Service,
    /// The URL that the head was written for.
    pub(crate) endpoint: &'p Endpoint,
    pub(crate) meta: RequestMeta,
    /// The credential that was written, to compare it with what there is later.
    pub(crate) used: Used,
    pub(crate) method: MethodLabel,
    /// Without the query; for the access log, and only where there is one.
    pub(crate) path: Option<String>,
    /// How the caller named the service.
    pub(crate) way: MatchKind,
    /// What records it, where it is recorded and was not before.
    pub(crate) span: Option<Box<Span>>,
}

/// A request that is led nowhere.
pub(crate) struct Rejection<'p> {
    pub(crate) failure: ProxyError,
    /// The service, where it is known.
    pub(crate) service: &'p str,
    pub(crate) method: MethodLabel,
    /// As in [`PreparedRequest`]; none where the request is for no service, because then nothing says what it is made of.
    pub(crate) path: Option<String>,
    pub(crate) is_head: bool,
    /// The next request can follow: where this one ends is known, and here.
    pub(crate) keep_alive: bool,
}

impl From<ProxyError> for Rejection<'_> {
    /// Of a head that cannot be read.
    fn from(failure: ProxyError) -> Self {
        Self {
            failure,
            service: "",
            method: MethodLabel::OTHER,
            path: None,
            is_head: false,
            keep_alive: false,
        }
    }
}

/// Parses and routes a head, and writes the one for the upstream into `out`, credential included. Leaves `out` empty where
/// there is no usable credential. `failed` are URLs of the upstream that take no connection,
/// `refused` is the credential that it answered 401 to, `span_source` says what the request is recorded by.
pub(crate) fn prepare<'p>(
    context: &'p ConnectionContext,
    bytes: &[u8],
    out: &mut Buffer,
    failed: &[&Endpoint],
    refused: Option<Used>,
    span_source: SpanSource<'_>,
) -> Result<PreparedRequest<'p>, Rejection<'p>> {
    let mut header_buffer = HeaderBuffer::new();
    let head = parse_head::request(bytes, &mut header_buffer)?;
    let path = || {
        let path = head.path.split('?').next().unwrap_or_default();
        context.snapshot().access_log.then(|| path.to_owned())
    };
    let rejection = |service: &'p str, reason, cause: &str| Rejection {
        failure: ProxyError::new(reason, cause),
        service,
        method: MethodLabel::of(head.method),
        path: if service.is_empty() { None } else { path() },
        is_head: head.meta.is_head,
        keep_alive: head.meta.keep_alive && !head.meta.is_http10 && head.meta.body == BodyKind::Length(0),
    };
    let snapshot = context.snapshot();
    let (host, absolute) = match context.peer.intercepted() {
        None => (head.host, head.absolute),
        // The credential is for the host that the caller believes to talk to, and for no other that a request names.
        Some(within) if same_authority(&within.authority, head.host) => (within.authority.as_str(), true),
        Some(_) => return Err(rejection("", ErrorReason::Forbidden, "Host is not the one of the CONNECT")),
    };
    let matched = snapshot
        .routes
        .find(context.dedicated_service(), host, absolute, head.path)
        .ok_or_else(|| rejection("", ErrorReason::UnknownService, "no service matches"))?;
    let service = &*snapshot.services[matched.service];
    // Its answer is the request as the upstream got it (RFC 9110 §9.3.8): the credential, handed to the caller.
    if head.method == "TRACE" {
        return Err(rejection(&service.name, ErrorReason::Forbidden, "TRACE would send the credential back"));
    }
    let upstream = &service.upstream;
    let endpoint = if failed.is_empty() { None } else { upstream.pick_another(failed) };
    let endpoint = endpoint.unwrap_or_else(|| upstream.pick());
    if !endpoint.base_path.is_empty() && escapes_base_path(matched.path_and_query) {
        return Err(rejection(
            &service.name,
            ErrorReason::Forbidden,
            "the path leaves the upstream's base path",
        ));
    }
    let target = Target {
        method: head.method,
        origin: &endpoint.origin,
        base_path: &endpoint.base_path,
        rest: matched.path_and_query,
        refused,
        may_try: matches!(head.meta.body, BodyKind::Length(body) if body.saturating_add(bytes.len() as u64) <= SMALL),
    };
    let (begun, known) = match (span_source, &snapshot.tracer) {
        (SpanSource::Start, Some(tracer)) => (Span::begin(tracer, &head, matched.path_and_query), None),
        (SpanSource::Start, None) => (None, None),
        (SpanSource::Existing(span), _) => (None, span),
    };
    let mut used = Used::Fixed;
    if let Some((injection, now)) = service.credential.injection(&target) {
        used = now;
        write_head::request(
            out.bytes_mut(),
            &head,
            matched.path_and_query,
            endpoint,
            service.credential.slot(),
            &injection,
            begun.as_deref().or(known),
        );
    }
    let (method, path) = (MethodLabel::of(head.method), path());
    Ok(PreparedRequest {
        service,
        endpoint,
        method,
        path,
        way: matched.matched_by,
        meta: head.meta,
        used,
        span: begun,
    })
}
