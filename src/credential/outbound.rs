//! The request as it will be sent, without its credential: what a [`Signer`](super::Signer) signs, and what
//! the head writer writes. Both see the same fields, because both iterate over [`ForwardedFields`].

use std::borrow::Cow;

use httparse::Header;

use super::{CredentialVersion, Owned};
use crate::oauth2::caller_tokens::Subject;
use crate::proto::fields::{HeaderClass, has_token};
use crate::proto::max_forwards;

/// One request as it will be sent.
pub struct OutboundRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// Scheme and authority of the upstream, `https://api.example.com`.
    pub origin: &'a str,
    /// The value of `Host`.
    pub authority: &'a str,
    /// The path of the upstream's base URL; empty or without a slash at its end.
    pub base_path: &'a str,
    /// The path below it, as the caller sent it.
    pub path: &'a str,
    /// The caller's query without parameters that belong to the credential. `None` if the target has no `?`.
    pub query: Option<Cow<'a, str>>,
    /// The caller's header fields that are passed on.
    pub fields: ForwardedFields<'a>,
    /// The body, as far as it is known.
    pub body: OutboundBody<'a>,
    /// The version that the upstream has just rejected, if the request is sent again for that reason.
    pub after: Option<CredentialVersion>,
    /// The token of the caller, if the credential needs it.
    pub subject: Option<&'a Subject>,
    /// Whether the request is small enough to be sent again, so that a credential may be tried with it.
    pub may_probe: bool,
}

impl OutboundRequest<'_> {
    /// The path of the request target: never empty.
    pub fn full_path(&self) -> Cow<'_, str> {
        match (self.base_path, self.path) {
            ("", "") => Cow::Borrowed("/"),
            ("", path) => Cow::Borrowed(path),
            (base, path) => Cow::Owned(format!("{base}{path}")),
        }
    }

    /// The request target without the credential's own parameters: path and query as they are sent.
    pub fn target(&self) -> Cow<'_, str> {
        let path = self.full_path();
        match &self.query {
            None => path,
            Some(query) => Cow::Owned(format!("{path}?{query}")),
        }
    }
}

/// The body of a request, as far as it is known when the head is signed.
#[derive(Clone, Copy)]
pub enum OutboundBody<'a> {
    /// The request has no body.
    Empty,
    /// The whole content, without transfer coding.
    Complete(&'a [u8]),
    /// The body is passed on as it arrives, after the head was written.
    Streaming,
}

impl<'a> OutboundBody<'a> {
    /// The content that is held: nothing of a body that is passed on as it arrives.
    pub fn held(&self) -> &'a [u8] {
        match self {
            Self::Complete(content) => content,
            Self::Empty | Self::Streaming => b"",
        }
    }
}

/// The caller's header fields that are passed on. Fields of the connection (RFC 9110 §7.6.1), fields that
/// belong to the credential, and fields that Sidekey writes itself are not passed on.
#[derive(Clone, Copy)]
pub struct ForwardedFields<'a> {
    /// All fields, as the caller sent them.
    pub all: &'a [Header<'a>],
    /// The same, of a list of credentials as well: there `all` is what is signed last, with the fields of the others.
    pub of_caller: &'a [Header<'a>],
    /// The parts of the request that belong to the credential.
    pub owned: &'a Owned,
    /// Whether `Connection` names other fields (connection options, RFC 9110 §7.6.1).
    pub has_connection_options: bool,
    /// Whether Sidekey's `traceparent` replaces the caller's.
    pub replaces_traceparent: bool,
    /// Whether the caller's `tracestate` is dropped, because it belongs to another trace.
    pub drops_tracestate: bool,
    /// Whether `Expect` was answered by Sidekey and is not passed on.
    pub drops_expect: bool,
    /// Whether a `Max-Forwards` of Sidekey's own takes the place of the caller's.
    pub replaces_max_forwards: bool,
    /// Whether `Accept-Encoding: identity` takes the place of the caller's, so that the response can be read.
    pub replaces_accept_encoding: bool,
    /// The value that takes the place of the caller's `Destination`: the URL as the upstream writes it.
    pub destination: Option<&'a [u8]>,
    /// The value that takes the place of the caller's `If`, with URLs as the upstream writes them.
    pub condition: Option<&'a [u8]>,
}

impl<'a> ForwardedFields<'a> {
    /// The fields of a request that Sidekey makes itself.
    pub fn of(all: &'a [Header<'a>], owned: &'a Owned) -> Self {
        Self {
            all,
            of_caller: all,
            owned,
            has_connection_options: false,
            replaces_traceparent: false,
            drops_tracestate: false,
            drops_expect: false,
            replaces_max_forwards: false,
            replaces_accept_encoding: false,
            destination: None,
            condition: None,
        }
    }

    /// The fields that are passed on, in their order and case.
    pub fn iter(&self) -> impl Iterator<Item = Header<'a>> {
        let is_replaced = self.destination.is_some() || self.condition.is_some();
        self.all.iter().filter(|field| self.is_forwarded(field.name)).map(move |field| {
            let value = if is_replaced { self.replacement(field.name) } else { None };
            value.map_or(*field, |value| Header { name: field.name, value })
        })
    }

    /// The value that takes the place of the caller's.
    fn replacement(&self, name: &str) -> Option<&'a [u8]> {
        match HeaderClass::of(name) {
            HeaderClass::Destination => self.destination,
            HeaderClass::If => self.condition,
            _ => None,
        }
    }

    /// Whether the caller's cookies are joined into one field, because the credential may own some of them.
    pub(super) fn joins_cookies(&self) -> bool {
        self.owned.has_query_or_cookie()
    }

    fn is_forwarded(&self, name: &str) -> bool {
        match HeaderClass::of(name) {
            HeaderClass::Traceparent if self.replaces_traceparent => false,
            HeaderClass::Tracestate if self.drops_tracestate => false,
            HeaderClass::EndToEnd
            | HeaderClass::Authorization
            | HeaderClass::Destination
            | HeaderClass::If
            | HeaderClass::Link
            | HeaderClass::Location
            | HeaderClass::Refresh
            | HeaderClass::Traceparent
            | HeaderClass::Tracestate
            | HeaderClass::Trailer
            | HeaderClass::UrlValue => {
                let is_answered = self.drops_expect && name.eq_ignore_ascii_case("expect");
                let is_replaced = (self.replaces_max_forwards && max_forwards::is_name(name))
                    || (self.replaces_accept_encoding && name.eq_ignore_ascii_case("accept-encoding"));
                !is_answered && !is_replaced && self.may_pass_on(name)
            }
            HeaderClass::ContentLength => true,
            HeaderClass::Cookie => !self.joins_cookies() && self.may_pass_on(name),
            HeaderClass::Connection
            | HeaderClass::Host
            | HeaderClass::HopByHop
            | HeaderClass::SidekeyError
            | HeaderClass::Te
            | HeaderClass::TransferEncoding
            | HeaderClass::Upgrade => false,
        }
    }

    /// Whether a field belongs neither to the credential nor to the connection.
    pub(super) fn may_pass_on(&self, name: &str) -> bool {
        !self.owned.owns_header(name) && !self.is_connection_option(name)
    }

    /// Whether `Connection` names the field (RFC 9110 §7.6.1). In almost every message it names none.
    fn is_connection_option(&self, name: &str) -> bool {
        self.has_connection_options
            && self.all.iter().any(|field| {
                HeaderClass::of(field.name) == HeaderClass::Connection && has_token(field.value, name)
            })
    }
}
