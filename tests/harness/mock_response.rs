//! Scripted responses of [`MockUpstream`](super::MockUpstream): their content, timing and failures.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::http1::{chunked, field};

/// One scripted response. Built by a constructor, modified by the methods.
#[derive(Debug, Clone)]
pub struct MockResponse {
    informational: Vec<Vec<u8>>,
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    body_form: BodyForm,
    trailers: Vec<(String, String)>,
    raw: Option<Vec<u8>>,
    before: Vec<Step>,
    hold_at: Option<(usize, Gate)>,
    dribble: Option<(usize, Duration)>,
    cut_at: Option<usize>,
    /// Sent as soon as the head of the request has been read.
    pub(super) early: bool,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyForm {
    Length,
    Chunked(usize),
    UntilClosed,
}

/// What happens to the connection after the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    KeepAlive,
    Close,
    Reset,
    Hang,
    Echo,
}

/// One action on the wire.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    Hold(Gate),
}

impl MockResponse {
    /// A response with this status and no body.
    pub fn status(status: u16) -> Self {
        Self {
            informational: Vec::new(),
            status,
            headers: Vec::new(),
            body: Vec::new(),
            body_form: BodyForm::Length,
            trailers: Vec::new(),
            raw: None,
            before: Vec::new(),
            hold_at: None,
            dribble: None,
            cut_at: None,
            early: false,
            end: End::KeepAlive,
        }
    }

    /// 200 with a body.
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// 200 with a JSON body.
    pub fn json(value: &serde_json::Value) -> Self {
        Self::ok(value.to_string()).header("Content-Type", "application/json")
    }

    /// These bytes and nothing else; then the connection is closed.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self { raw: Some(bytes.into()), end: End::Close, ..Self::status(200) }
    }

    /// Reads the request and closes without a response.
    pub fn close_unanswered() -> Self {
        Self::raw("")
    }

    /// Reads the request and resets the connection.
    pub fn reset() -> Self {
        Self { end: End::Reset, ..Self::raw("") }
    }

    /// Reads the request and never responds.
    pub fn never() -> Self {
        Self { end: End::Hang, ..Self::raw("") }
    }

    /// 101; then everything that is received is sent back.
    pub fn switch_to_echo(protocol: &str) -> Self {
        let head =
            format!("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n\r\n");
        Self { end: End::Echo, ..Self::raw(head) }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends the body in chunks of this size.
    pub fn chunked(mut self, size: usize) -> Self {
        self.body_form = BodyForm::Chunked(size);
        self
    }

    /// Adds a trailer field, after a chunked body.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    /// Sends the body without length or chunks: the close of the connection ends it.
    pub fn until_closed(mut self) -> Self {
        self.body_form = BodyForm::UntilClosed;
        self.end = End::Close;
        self
    }

    /// Sends a 1xx response first, such as `"103 Early Hints\r\nLink: <a>"`.
    pub fn after_informational(mut self, lines: &str) -> Self {
        self.informational.push(format!("HTTP/1.1 {lines}\r\n\r\n").into_bytes());
        self
    }

    /// Sends the response before the request's body is read.
    pub fn early(mut self) -> Self {
        self.early = true;
        self
    }

    /// Sends the response after a pause.
    pub fn after(mut self, pause: Duration) -> Self {
        self.before.push(Step::Pause(pause));
        self
    }

    /// Sends the response when the gate opens.
    pub fn delayed_until(mut self, gate: &Gate) -> Self {
        self.before.push(Step::Hold(gate.clone()));
        self
    }

    /// Sends the head and `position` bytes of the body at once, and the rest when the gate opens.
    pub fn body_held_at(mut self, position: usize, gate: &Gate) -> Self {
        self.hold_at = Some((position, gate.clone()));
        self
    }

    /// Sends everything in pieces of this size, with a pause after each.
    pub fn dribbled(mut self, piece: usize, pause: Duration) -> Self {
        self.dribble = Some((piece, pause));
        self
    }

    /// Sends only `position` bytes of the body, then closes the connection.
    pub fn cut_at(mut self, position: usize) -> Self {
        self.cut_at = Some(position);
        self.end = End::Close;
        self
    }

    /// Closes the connection afterwards, announced by `Connection: close`.
    pub fn close(self) -> Self {
        Self { end: End::Close, ..self.header("Connection", "close") }
    }

    /// Closes the connection afterwards without announcing it.
    pub fn close_silently(mut self) -> Self {
        self.end = End::Close;
        self
    }

    /// Resets the connection afterwards (after a truncated body, with [`cut_at`](Self::cut_at)).
    pub fn then_reset(mut self) -> Self {
        self.end = End::Reset;
        self
    }

    /// Sends nothing more afterwards, and keeps the connection open.
    pub fn then_hang(mut self) -> Self {
        self.end = End::Hang;
        self
    }

    /// The response as steps, for a request with this method.
    pub(super) fn steps(&self, method: &str) -> Vec<Step> {
        let mut steps = self.before.clone();
        if let Some(raw) = &self.raw {
            self.send(&mut steps, raw.clone());
            return steps;
        }
        steps.extend(self.informational.iter().cloned().map(Step::Send));
        let (head, mut body) = self.message(method);
        if let Some(position) = self.cut_at {
            body.truncate(position);
        }
        match &self.hold_at {
            Some((position, gate)) => {
                let rest = body.split_off(*position);
                self.send(&mut steps, [head, body].concat());
                steps.push(Step::Hold(gate.clone()));
                self.send(&mut steps, rest);
            }
            None => self.send(&mut steps, [head, body].concat()),
        }
        steps
    }

    fn send(&self, steps: &mut Vec<Step>, bytes: Vec<u8>) {
        match self.dribble {
            Some((size, pause)) => {
                for piece in bytes.chunks(size) {
                    steps.push(Step::Send(piece.to_vec()));
                    steps.push(Step::Pause(pause));
                }
            }
            None => steps.push(Step::Send(bytes)),
        }
    }

    fn message(&self, method: &str) -> (Vec<u8>, Vec<u8>) {
        let reason =
            http::StatusCode::from_u16(self.status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        for (name, value) in &self.headers {
            field(&mut head, name, value);
        }
        let without_body = matches!(self.status, 204 | 304);
        let body = match self.body_form {
            BodyForm::Length if without_body => Vec::new(),
            BodyForm::Length => {
                field(&mut head, "Content-Length", self.body.len());
                self.body.clone()
            }
            BodyForm::Chunked(size) => {
                field(&mut head, "Transfer-Encoding", "chunked");
                chunked(&self.body, size, &self.trailers)
            }
            BodyForm::UntilClosed => self.body.clone(),
        };
        head += "\r\n";
        (head.into_bytes(), if method == "HEAD" { Vec::new() } else { body })
    }
}

/// Delays a response until the test opens it: an order of events without sleeping.
#[derive(Debug, Clone)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    pub fn closed() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Opens the gate, for delayed and later responses.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn opened(&self) {
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}
