//! A request as a scripted server received it.

use std::time::Instant;

use super::http1::{Fields, Head};

/// One request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Which connection it came on, counted from 1.
    pub connection: usize,
    /// The name the client asked for in the TLS handshake.
    pub server_name: Option<String>,
    /// When the head was complete.
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
    /// The body came to its proper end.
    pub complete: bool,
    /// The client went away while the answer was held back.
    pub abandoned: bool,
}

impl Request {
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

    /// The value of the only field of that name; two of them are a failure of the test.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers.all(name);
        assert!(all.len() < 2, "{name} came more than once: {all:?}");
        all.first().copied()
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// What stands after `?`, as sent.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}
