//! A request as a mock server received it.

use std::time::Instant;

use super::http1::{Fields, Head};

/// One request as it was received.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The number of its connection, counted from 1.
    pub connection: usize,
    /// The server name in the TLS handshake (SNI).
    pub server_name: Option<String>,
    /// Time at which the head was complete.
    pub at: Instant,
    pub method: String,
    /// The request target as sent.
    pub target: String,
    pub version: String,
    pub headers: Fields,
    /// Start line and fields, byte for byte.
    pub raw_head: Vec<u8>,
    pub body: Vec<u8>,
    pub trailers: Fields,
    /// Whether the body was received completely.
    pub complete: bool,
    /// Whether the client disconnected while the response was delayed.
    pub abandoned: bool,
}

impl RecordedRequest {
    pub(super) fn new(connection: usize, server_name: Option<String>, head: Head) -> Self {
        let mut words = head.start_line.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        Self {
            connection,
            server_name,
            at: Instant::now(),
            method: word(),
            target: word(),
            version: word(),
            headers: head.fields,
            raw_head: head.raw,
            body: Vec::new(),
            trailers: Fields::default(),
            complete: false,
            abandoned: false,
        }
    }

    /// The value of the only field of that name; the test fails if there are two.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers.all(name);
        assert!(all.len() < 2, "{name} came more than once: {all:?}");
        all.first().copied()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The part after `?`, as sent.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
