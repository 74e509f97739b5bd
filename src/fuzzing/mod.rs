//! Properties of everything that reads input from outside, for any input. A property is a function that panics on an
//! input for which it does not hold.
//!
//! ```text
//! request_head    a caller's request head
//! forwarded_head  what is sent to the upstream for it
//! response_head   an upstream's response head, and the head that is sent to the caller for it
//! chunked_body    chunked coding
//! http2_body      bodies sent by HTTP/2 streams
//! http2_heads     heads of HTTP/2 streams as heads of HTTP/1.1
//! http2_connection  the frames of a caller's HTTP/2 connection
//! http2_upstream  the frames of an upstream's HTTP/2 connection
//! response_urls   URLs in the fields of a response
//! token_response  the answer of a token endpoint
//! configuration   the configuration file
//! route           the service and the path of a request
//! rules           the paths that rules decide about
//! upstream_url    the URL of an upstream, and URLs in a response that are inside it
//! field_value     values of header fields: challenges, Retry-After, traceparent, claims
//! caller_credential   what a request presents to be known by
//! caller_token        a token of a caller, and the keys of its issuer
//! caller_certificate  the names in a client certificate
//! manifest            manifests of Kubernetes
//! admission_review    requests to the admission webhook
//! frames          what holds for the frames that are sent
//! plain_head      a second, plain reader of HTTP/1.1 heads, to compare with
//! plain_link      a second, plain reader of `Link`
//! host_readings   a second reader of hosts
//! path_readings   the ways in which servers read a path
//! services        services for requests to go to
//! seeds           runs every property on the files in `fuzz/seeds/`
//! ```
//!
//! The module exists in tests and in the builds of `cargo fuzz` (`cfg(fuzzing)`), and in no other build. The programs
//! in `fuzz/fuzz_targets/` hand what the fuzzer makes up to these functions.
#![allow(clippy::missing_panics_doc, reason = "a property that does not hold panics")]

mod admission_review;
mod caller_certificate;
mod caller_credential;
mod caller_token;
mod chunked_body;
mod configuration;
mod field_value;
mod forwarded_head;
mod frames;
mod host_readings;
mod http2_body;
mod http2_connection;
mod http2_heads;
mod http2_upstream;
mod manifest;
mod path_readings;
mod plain_head;
mod plain_link;
mod request_head;
mod response_head;
mod response_urls;
mod route;
mod rules;
#[cfg(test)]
mod seeds;
pub(crate) mod services;
mod token_response;
mod upstream_url;

pub use admission_review::admission_review;
pub use caller_certificate::caller_certificate;
pub use caller_credential::caller_credential;
pub use caller_token::caller_token;
pub use chunked_body::chunked_body;
pub use configuration::configuration;
pub use field_value::field_value;
pub use http2_body::http2_body;
pub use http2_connection::http2_connection;
pub use http2_heads::http2_heads;
pub use http2_upstream::http2_upstream;
pub use manifest::manifest;
pub use request_head::request_head;
pub use response_head::response_head;
pub use response_urls::response_urls;
pub use route::route;
pub use rules::rules;
pub use token_response::token_response;
pub use upstream_url::upstream_url;
