//! All of a request that needs no waiting: parse, route, and write the head for the upstream.
//!
//! [`prepare`] is the only place that writes such a head, and it writes none without a credential: never bare.

use crate::credential::{Target, Used};
use crate::metrics::MethodLabel;
use crate::net::buffer::Buffer;
use crate::proxy::Proxy;
use crate::proxy::error::{Failure, Reason};
use crate::proxy::span::{Span, Spanning};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{BodyKind, RequestFacts, Room};
use crate::proxy::wire::write_head;
use crate::runtime::route::{Way, agree, climbs};
use crate::runtime::service::Service;
use crate::upstream::Endpoint;

/// A request of so many bytes at most is whole in the buffer when its answer comes.
const SMALL: u64 = 32 * 1024;

/// What is known of a request once it is routed.
pub(crate) struct Found<'p> {
    pub(crate) service: &'p Service,
    /// The URL that the head was written for.
    pub(crate) endpoint: &'p Endpoint,
    pub(crate) facts: RequestFacts,
    /// The credential that was written, to compare it with what there is later.
    pub(crate) used: Used,
    pub(crate) method: MethodLabel,
    /// Without the query; for the access log, and only where there is one.
    pub(crate) path: Option<String>,
    /// How the caller named the service.
    pub(crate) way: Way,
    /// What records it, where it is recorded and was not before.
    pub(crate) span: Option<Box<Span>>,
}

/// A request that is led nowhere.
pub(crate) struct Refusal<'p> {
    pub(crate) failure: Failure,
    /// The service, where it is known.
    pub(crate) service: &'p str,
    pub(crate) method: MethodLabel,
    /// As in [`Found`]; none where the request is for no service, because then nothing says what it is made of.
    pub(crate) path: Option<String>,
    pub(crate) is_head: bool,
    /// The next request can follow: where this one ends is known, and here.
    pub(crate) keep_alive: bool,
}

impl From<Failure> for Refusal<'_> {
    /// Of a head that cannot be read.
    fn from(failure: Failure) -> Self {
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
/// `refused` is the credential that it answered 401 to, `spanning` says what the request is recorded by.
pub(crate) fn prepare<'p>(
    proxy: &'p Proxy,
    bytes: &[u8],
    out: &mut Buffer,
    failed: &[&Endpoint],
    refused: Option<Used>,
    spanning: Spanning<'_>,
) -> Result<Found<'p>, Refusal<'p>> {
    let mut room = Room::new();
    let head = parse_head::request(bytes, &mut room)?;
    let path = || {
        let path = head.path.split('?').next().unwrap_or_default();
        proxy.snapshot().access_log.then(|| path.to_owned())
    };
    let refusal = |service: &'p str, reason, cause: &str| Refusal {
        failure: Failure::new(reason, cause),
        service,
        method: MethodLabel::of(head.method),
        path: if service.is_empty() { None } else { path() },
        is_head: head.facts.is_head,
        keep_alive: head.facts.keep_alive && !head.facts.is_old && head.facts.body == BodyKind::Length(0),
    };
    let snapshot = proxy.snapshot();
    let (host, absolute) = match proxy.caller.within() {
        None => (head.host, head.absolute),
        // The credential is for the host that the caller believes to talk to, and for no other that a request names.
        Some(within) if agree(&within.authority, head.host) => (within.authority.as_str(), true),
        Some(_) => return Err(refusal("", Reason::Forbidden, "Host is not the one of the CONNECT")),
    };
    let matched = snapshot
        .routes
        .find(proxy.own(), host, absolute, head.path)
        .ok_or_else(|| refusal("", Reason::UnknownService, "no service matches"))?;
    let service = &*snapshot.services[matched.service];
    // Its answer is the request as the upstream got it (RFC 9110 §9.3.8): the credential, handed to the caller.
    if head.method == "TRACE" {
        return Err(refusal(&service.name, Reason::Forbidden, "TRACE would send the credential back"));
    }
    let upstream = &service.upstream;
    let endpoint = if failed.is_empty() { None } else { upstream.pick_another(failed) };
    let endpoint = endpoint.unwrap_or_else(|| upstream.pick());
    if !endpoint.base_path.is_empty() && climbs(matched.rest) {
        return Err(refusal(&service.name, Reason::Forbidden, "the path leaves the upstream's base path"));
    }
    let target = Target {
        method: head.method,
        origin: &endpoint.origin,
        base_path: &endpoint.base_path,
        rest: matched.rest,
        refused,
        may_try: matches!(head.facts.body, BodyKind::Length(body) if body.saturating_add(bytes.len() as u64) <= SMALL),
    };
    let (begun, known) = match (spanning, &snapshot.tracer) {
        (Spanning::Begin, Some(tracer)) => (Span::begin(tracer, &head, matched.rest), None),
        (Spanning::Begin, None) => (None, None),
        (Spanning::Same(span), _) => (None, span),
    };
    let mut used = Used::Fixed;
    if let Some((injection, now)) = service.credential.injection(&target) {
        used = now;
        write_head::request(
            out.bytes_mut(),
            &head,
            matched.rest,
            endpoint,
            service.credential.slot(),
            &injection,
            begun.as_deref().or(known),
        );
    }
    let (method, path) = (MethodLabel::of(head.method), path());
    Ok(Found { service, endpoint, method, path, way: matched.way, facts: head.facts, used, span: begun })
}
