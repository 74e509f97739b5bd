//! A request as a span: one for each request that leads to a service, of kind `CLIENT`, because it stands for the call that Sidekey
//! makes to the upstream. Begun where the head is read, ended where the request is dropped, however that comes.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::wire::parse_head::RequestHead;
use super::wire::relay::RelayError;
use crate::metrics::MethodLabel;
use crate::otel::{Context, Parent, Tracer, Value};
use crate::proto::fields::HeaderClass;
use crate::runtime::service::Service;
use crate::upstream::{Connection, Endpoint, Stream};

/// No longer path is told, so that a full queue is of a bounded size.
const LONGEST_PATH: usize = 1024;

/// A request that is recorded.
pub(super) struct Span {
    pub(super) context: Context,
    start: SystemTime,
    /// Below the upstream's base path; without the query, which may hold a secret.
    path: String,
    /// How often the request was sent to an upstream.
    sent: u32,
    is_http2: bool,
    is_replayed: bool,
    /// Why half an answer is all that the caller got.
    cut: Option<&'static str>,
}

/// Which span a head is written for.
#[derive(Clone, Copy)]
pub(super) enum SpanSource<'s> {
    /// It is the first head of its request: one is begun, if it is to be recorded.
    Start,
    /// The one that was begun then, or none.
    Existing(Option<&'s Span>),
}

/// How a request ended.
pub(super) struct RequestOutcome<'r> {
    pub(super) service: &'r Service,
    pub(super) endpoint: &'r Endpoint,
    pub(super) method: MethodLabel,
    pub(super) address: Option<SocketAddr>,
    /// What the caller got, if it got anything.
    pub(super) status: Option<u16>,
    /// Sidekey's own reason and the cause.
    pub(super) failure: Option<(&'static str, &'r str)>,
    pub(super) took: Duration,
}

impl Span {
    /// Begins the span of a request whose head this is, if it is recorded; `rest` is what of path and query is the upstream's.
    pub(super) fn begin(tracer: &Tracer, head: &RequestHead<'_, '_>, rest: &str) -> Option<Box<Self>> {
        let mut parents =
            head.fields.iter().filter(|field| HeaderClass::of(field.name) == HeaderClass::Traceparent);
        let parent = match (parents.next(), parents.next()) {
            (Some(only), None) => Parent::parse(only.value.trim_ascii()),
            // Of several none can be believed.
            _ => None,
        };
        let context = tracer.request(parent.as_ref())?;
        let mut path = rest.split('?').next().unwrap_or_default();
        path = &path[..path.floor_char_boundary(LONGEST_PATH)];
        Some(Box::new(Self {
            context,
            start: SystemTime::now(),
            path: path.to_owned(),
            sent: 0,
            is_http2: false,
            is_replayed: false,
            cut: None,
        }))
    }

    /// The request goes out by this connection.
    pub(super) fn sent(&mut self, connection: &Connection) {
        self.sent += 1;
        self.is_http2 = matches!(connection.stream, Stream::Http2(_));
    }

    /// It is sent once more with another credential.
    pub(super) fn replayed(&mut self) {
        self.is_replayed = true;
    }

    /// The answer was cut short.
    pub(super) fn cut(&mut self, broken: &RelayError) {
        self.cut = Some(match broken {
            RelayError::Downstream(_) | RelayError::DownstreamBody(_) | RelayError::DownstreamIdle => {
                "caller_gone"
            }
            RelayError::Upstream(_) | RelayError::UpstreamBody(_) => "upstream_protocol",
            RelayError::Idle => "upstream_timeout",
        });
    }

    /// The finished span.
    pub(super) fn end(self, ended: &RequestOutcome<'_>) -> crate::otel::Span {
        let RequestOutcome { service, endpoint, method, address, status, failure, took } = ended;
        let method = match *method {
            MethodLabel::OTHER => "_OTHER",
            known => known.as_str(),
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
            ("sidekey.credential", service.kind.into()),
        ];
        if let Some(status) = status {
            attributes.push(("http.response.status_code", (*status).into()));
        }
        if let Some(address) = address {
            attributes.push(("network.peer.address", address.ip().to_string().into()));
            attributes.push(("network.peer.port", address.port().into()));
        }
        if self.sent > 0 {
            attributes.push(("network.protocol.version", if self.is_http2 { "2" } else { "1.1" }.into()));
        }
        if self.sent > 1 {
            attributes.push(("http.request.resend_count", (self.sent - 1).into()));
        }
        if self.is_replayed {
            attributes.push(("sidekey.replayed", true.into()));
        }
        // (`error.type`, message): by the conventions a client's span has failed where its answer is a 4xx or 5xx.
        let error = match (failure, self.cut, status) {
            (Some((reason, cause)), ..) => Some(((*reason).into(), (*cause).to_owned())),
            (None, Some(cut), _) => Some((cut.into(), String::new())),
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
