//! What an answer says of the URL in the configuration.

use crate::upstream::Endpoint;

/// How servers put it when they are spoken to without TLS where they want it.
const PLAIN_HTTP_TO_TLS_MESSAGES: [&str; 4] = [
    // nginx
    "plain HTTP request was sent to HTTPS port",
    // Go
    "HTTP request to an HTTPS server",
    // Apache
    "plain HTTP to an SSL-enabled server port",
    // Tomcat
    "This combination of host and port requires TLS",
];

/// Where what came is no HTTP but a TLS alert.
pub(super) fn explain_non_http(endpoint: &Endpoint, answer: &[u8]) -> &'static str {
    if endpoint.is_plain() && answer.starts_with(&[0x15, 0x03]) {
        "; what came is a TLS alert, so the upstream wants TLS there: is its URL `https://`?"
    } else {
        ""
    }
}

/// Tells the log, once, where a 400 is about TLS. `answer` is what of it is here.
pub(super) fn warn_if_plain_http_to_tls(service: &str, endpoint: &Endpoint, answer: &[u8]) {
    let says = |words: &&str| memchr::memmem::find(answer, words.as_bytes()).is_some();
    if endpoint.is_plain() && PLAIN_HTTP_TO_TLS_MESSAGES.iter().any(says) && endpoint.warn_plain_http_once() {
        tracing::warn!(
            sidekey.service = service,
            upstream.url = endpoint.authority,
            "the upstream wants TLS there: is its URL `https://`?"
        );
    }
}
