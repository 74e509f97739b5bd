//! The span of a request. Each request to a service has one, of kind `CLIENT`, because it represents the call
//! that Sidekey makes to the upstream. It begins when the head is parsed and ends when the request is
//! dropped.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::wire::parse_head::RequestHead;
use super::wire::relay::RelayError;
use crate::metrics::MethodLabel;
use crate::otel::{Context, Parent, Tracer, Value};
use crate::proto::fields::HeaderClass;
use crate::runtime::service::Service;
use crate::upstream::{Connection, Endpoint, Stream};

/// The limit on the path in a span, in bytes, so that the size of a full queue is bounded.
const MAX_PATH_BYTES: usize = 1024;

/// The span of a request that is recorded.
pub(super) struct Span {
    pub(super) context: Context,
    start: SystemTime,
    /// The path below the upstream's base path, without the query, which may hold a secret.
    path: String,
    /// The number of times that the request was sent to an upstream.
    send_count: u32,
    is_http2: bool,
    is_retried: bool,
    /// Why the response was aborted.
    abort_reason: Option<&'static str>,
}

/// Where the span of a written head comes from.
#[derive(Clone, Copy)]
pub(super) enum SpanSource<'s> {
    /// The head is the first one of its request. A span is started if the request is recorded.
    Start,
    /// The span that the first head started, if it started one.
    Existing(Option<&'s Span>),
}

/// How a request ended.
pub(super) struct RequestOutcome<'r> {
    pub(super) service: &'r Service,
    pub(super) endpoint: &'r Endpoint,
    pub(super) method: MethodLabel,
    pub(super) address: Option<SocketAddr>,
    /// The status that the caller got, if it got a response.
    pub(super) status: Option<u16>,
    /// The reason and the cause of Sidekey's error.
    pub(super) failure: Option<(&'static str, &'r str)>,
    pub(super) took: Duration,
}

impl Span {
    /// Begins the span of the request with this head, if it is recorded. `path_and_query` is the upstream's
    /// part of the target.
    pub(super) fn begin(
        tracer: &Tracer,
        head: &RequestHead<'_, '_>,
        path_and_query: &str,
    ) -> Option<Box<Self>> {
        let mut parents =
            head.fields.iter().filter(|field| HeaderClass::of(field.name) == HeaderClass::Traceparent);
        let parent = match (parents.next(), parents.next()) {
            (Some(only), None) => Parent::parse(only.value.trim_ascii()),
            // More than one field is invalid (W3C Trace Context §3.2).
            _ => None,
        };
        let context = tracer.request(parent.as_ref())?;
        let mut path = path_and_query.split('?').next().unwrap_or_default();
        path = &path[..path.floor_char_boundary(MAX_PATH_BYTES)];
        Some(Box::new(Self {
            context,
            start: SystemTime::now(),
            path: path.to_owned(),
            send_count: 0,
            is_http2: false,
            is_retried: false,
            abort_reason: None,
        }))
    }

    /// Records that the request is sent on `connection`.
    pub(super) fn sent(&mut self, connection: &Connection) {
        self.send_count += 1;
        self.is_http2 = matches!(connection.stream, Stream::Http2(_));
    }

    /// Records that the request is sent again with another credential.
    pub(super) fn retried(&mut self) {
        self.is_retried = true;
    }

    /// Records that the response was aborted.
    pub(super) fn aborted(&mut self, error: &RelayError) {
        self.abort_reason = Some(match error {
            RelayError::Downstream(_) | RelayError::DownstreamBody(_) | RelayError::DownstreamIdle => {
                "caller_gone"
            }
            RelayError::Upstream(_) | RelayError::UpstreamBody(_) => "upstream_protocol",
            RelayError::Idle => "upstream_timeout",
        });
    }

    /// Returns the finished span.
    pub(super) fn end(self, outcome: &RequestOutcome<'_>) -> crate::otel::Span {
        let RequestOutcome { service, endpoint, method, address, status, failure, took } = outcome;
        let method = match *method {
            MethodLabel::OTHER => "_OTHER",
            method => method.as_str(),
        };
        let (scheme, host, port) = endpoint.server();
        let path = match format!("{}{}", endpoint.base_path, self.path) {
            empty if empty.is_empty() => "/".to_owned(),
            path => path,
        };
        let mut attributes: Vec<(&'static str, Value)> = vec![
            ("http.request.method", method.into()),
            ("server.address", host.into()),
            ("server.port", port.into()),
            ("url.scheme", scheme.into()),
            ("url.full", format!("{}{path}", endpoint.origin).into()),
            ("url.path", path.into()),
            ("sidekey.service", service.name.clone().into()),
            ("sidekey.credential", service.auth.kind().into()),
        ];
        if let Some(status) = status {
            attributes.push(("http.response.status_code", (*status).into()));
        }
        if let Some(address) = address {
            attributes.push(("network.peer.address", address.ip().to_string().into()));
            attributes.push(("network.peer.port", address.port().into()));
        }
        if self.send_count > 0 {
            attributes.push(("network.protocol.version", if self.is_http2 { "2" } else { "1.1" }.into()));
        }
        if self.send_count > 1 {
            attributes.push(("http.request.resend_count", (self.send_count - 1).into()));
        }
        if self.is_retried {
            attributes.push(("sidekey.replayed", true.into()));
        }
        // `error.type` and message. By the semantic conventions, the span of a client has failed if the
        // response is a 4xx or 5xx.
        let error = match (failure, self.abort_reason, status) {
            (Some((reason, cause)), ..) => Some(((*reason).into(), (*cause).to_owned())),
            (None, Some(reason), _) => Some((reason.into(), String::new())),
            (None, None, Some(status)) if *status >= 400 => Some((status.to_string().into(), String::new())),
            (None, None, None) => Some(("caller_gone".into(), String::new())),
            (None, None, Some(_)) => None,
        };
        let error = error.map(|(kind, message): (Value, String)| {
            attributes.push(("error.type", kind));
            message
        });
        let name = if method == "_OTHER" { "HTTP" } else { method };
        crate::otel::Span { context: self.context, name, start: self.start, took: *took, attributes, error }
    }
}
