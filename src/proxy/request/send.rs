//! Sends a request and waits for the head of its answer.

use std::io;
use std::time::Instant;

use tokio::io::AsyncWriteExt;

use super::exchange::{LATE_BODY, Request, Trouble, whole_body};
use crate::net::buffer::Buffer;
use crate::proxy::alert;
use crate::proxy::diagnostics;
use crate::proxy::error::{Failure, Reason};
use crate::proxy::wire::parse_head;
use crate::proxy::wire::parse_head::{MAX_HEAD, Room};
use crate::proxy::wire::relay;
use crate::proxy::wire::relay::{Broken, Io, Sent, Side};
use crate::proxy::wire::write_head;
use crate::upstream::{Connection, is_unprocessed};

impl Request<'_> {
    /// Sends the request and reads until the head of the final answer is whole; returns its length.
    ///
    /// A kept-alive connection may have been closed by the upstream just as it was taken. Where nothing of an answer came
    /// and sending the request again cannot do harm, it is sent once more on another connection;
    /// so is one that the upstream says it has not acted on (HTTP/2).
    pub(crate) async fn ask(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &mut Buffer,
        answer: &mut Buffer,
    ) -> Result<(Connection, usize), Trouble> {
        let upstream = &self.service.upstream;
        let mut is_again = false;
        loop {
            let endpoint = self.endpoint;
            let is_whole = self.body.is_done();
            let idle = || if is_again { None } else { endpoint.idle(self.wish, self.facts.is_idempotent) };
            let mut connection = match self.connection.take().or_else(idle) {
                Some(connection) => connection,
                None => match endpoint.connect(self.wish, upstream.timeouts.connect).await {
                    Ok(connection) => connection,
                    Err(error) => {
                        upstream.failed(endpoint);
                        if !upstream.is_several() || buffer.held().is_none() {
                            return Err(Failure::from(error).into());
                        }
                        // On the heap: few get here.
                        Box::pin(self.turn_elsewhere(&error, buffer, out)).await?;
                        continue;
                    }
                },
            };
            self.address = Some(connection.address);
            self.doubt = connection.doubt();
            if let Some(span) = &mut self.span {
                span.sent(&connection);
            }
            let unanswered = match self.try_ask(io, buffer, out, answer, &mut connection).await {
                Ok(length) => return Ok((connection, length)),
                Err(unanswered) => unanswered,
            };
            let may_repeat = match &unanswered {
                Unanswered::Unsent(_) => true,
                Unanswered::Lost(error) if is_unprocessed(error) => is_whole || buffer.held().is_some(),
                Unanswered::Lost(_) => {
                    endpoint.lost(&connection);
                    let is_harmless = is_whole && self.facts.is_idempotent;
                    is_harmless && (connection.is_reused() || upstream.retry_idempotent)
                }
                Unanswered::Failure(_) | Unanswered::Cut(_) => false,
            };
            if unanswered.is_timeout()
                && let Some(doubt) = self.doubt.take()
            {
                doubt.suspect();
            }
            if is_again || !may_repeat {
                let trouble = Trouble::from(unanswered);
                if matches!(&trouble, Trouble::Failure(failure) if failure.is_of_upstream()) {
                    upstream.failed(endpoint);
                }
                return Err(trouble);
            }
            is_again = true;
            answer.clear();
            if !is_whole && !matches!(unanswered, Unanswered::Unsent(_)) {
                self.bring_back(buffer, out)?;
            }
        }
    }

    /// Puts the request together again, of whose body parts have gone out already and are held.
    pub(crate) fn bring_back(&mut self, buffer: &mut Buffer, out: &mut Buffer) -> Result<(), Failure> {
        let head = parse_head::end(out.filled(), 0).unwrap_or_default();
        out.bytes_mut().truncate(head);
        self.body = whole_body(self.service, &self.facts);
        buffer.rewind();
        buffer.consume(self.head_length);
        self.body.take(buffer, out).map_err(Failure::from)
    }

    async fn try_ask(
        &mut self,
        io: &mut impl Io,
        buffer: &mut Buffer,
        out: &Buffer,
        answer: &mut Buffer,
        connection: &mut Connection,
    ) -> Result<usize, Unanswered> {
        let (stream, timeouts) = (&mut connection.stream, &self.service.upstream.timeouts);
        let asked = Instant::now();
        let written = self.patience.wait(timeouts.idle, async {
            let first = stream.write(out.filled()).await.map_err(Unanswered::Unsent)?;
            stream.write_all(&out.filled()[first..]).await.map_err(Unanswered::Lost)?;
            stream.flush().await.map_err(Unanswered::Lost)
        });
        let mut lost = match written.await {
            Ok(Ok(())) => None,
            Ok(Err(Unanswered::Lost(error))) => Some(error),
            Ok(Err(other)) => return Err(other),
            Err(_) => return Err(timed_out("the upstream did not take the request in time")),
        };
        let mut sending = !self.body.is_done() && lost.is_none();
        let mut seen = 0;
        let mut is_first = true;
        let mut is_waiting = false;
        loop {
            let length = parse_head::end(answer.filled(), seen);
            seen = answer.filled().len();
            if length.unwrap_or(seen) > MAX_HEAD {
                return Err(protocol("the head of the upstream's answer is larger than 64 KiB"));
            }
            if let Some(length) = length {
                if let Some(interim) = self.interim(&answer.filled()[..length])? {
                    answer.consume(length);
                    seen = 0;
                    is_first = false;
                    is_waiting = false;
                    relay::write(io, interim.filled(), self.patience, timeouts.idle)
                        .await
                        .map_err(Unanswered::Cut)?;
                    continue;
                }
                let status = status_of(answer.filled());
                self.service.metrics.upstream_answered(status, asked.elapsed());
                self.service.upstream.answered(self.endpoint, status);
                if status == 400 {
                    diagnostics::of_bad_request(&self.service.name, self.endpoint, answer.filled());
                }
                return Ok(length);
            }
            if sending {
                let mut caller = Side { io, buffer, body: &mut self.body };
                self.is_sending = true;
                let sent = relay::send(&mut caller, stream, answer, self.patience, timeouts.idle).await;
                self.is_sending = false;
                match sent.map_err(Unanswered::broken)? {
                    Sent::All => sending = false,
                    Sent::Answered => {}
                    Sent::Refused(error) => {
                        sending = false;
                        lost = Some(error);
                    }
                }
                continue;
            }
            // Not renewed by a head that comes byte by byte.
            if !std::mem::replace(&mut is_waiting, true) {
                self.patience.renew();
            }
            let listening = relay::listen(io, buffer, stream, answer);
            let read = self.patience.wait_on(timeouts.first_byte, listening).await;
            let read = read.map_err(|_| timed_out("the upstream did not answer in time"))?;
            match read.map_err(Unanswered::Cut)? {
                Ok(1..) => {}
                Ok(0) | Err(_) if !answer.is_empty() => {
                    let hint = diagnostics::of_garbage(self.endpoint, answer.filled());
                    return Err(protocol(&format!(
                        "the upstream closed the connection within the head of its answer{hint}"
                    )));
                }
                end => {
                    let error = match end {
                        // What reading says of a stream is more than what writing does.
                        Err(error) if is_unprocessed(&error) => error,
                        end => lost.or(end.err()).unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into()),
                    };
                    return Err(if is_first {
                        Unanswered::Lost(error)
                    } else {
                        protocol("the upstream closed the connection after an interim answer")
                    });
                }
            }
        }
    }

    /// An interim answer (1xx but 101), rewritten for the caller; empty for one that knows only HTTP/1.0.
    fn interim(&self, bytes: &[u8]) -> Result<Option<Buffer>, Failure> {
        let status = status_of(bytes);
        if !(100..200).contains(&status) || status == 101 {
            return Ok(None);
        }
        let mut room = Room::new();
        let head = parse_head::response(bytes, &mut room, self.facts.is_head)?;
        let mut out = Buffer::take();
        if !self.facts.is_old {
            write_head::informational(out.bytes_mut(), &head);
        }
        Ok(Some(out))
    }
}

/// Why there is no answer to pass back.
enum Unanswered {
    /// Not a byte of the request went out.
    Unsent(io::Error),
    /// The request went out, and not a byte of an answer came back.
    Lost(io::Error),
    /// Anything that sending again does not mend.
    Failure(Failure),
    /// The caller is gone.
    Cut(Broken),
}

impl Unanswered {
    fn is_timeout(&self) -> bool {
        matches!(self, Self::Failure(failure) if failure.reason == Reason::UpstreamTimeout)
    }

    fn broken(broken: Broken) -> Self {
        match broken {
            Broken::CallerBody(error) => Self::Failure(error.into()),
            Broken::Idle => timed_out("the upstream took no more of the request's body for too long"),
            Broken::CallerIdle => Self::Failure(Failure {
                detail: Some(LATE_BODY),
                ..Failure::new(Reason::BadRequest, broken.to_string())
            }),
            Broken::Upstream(error) => Self::Lost(error),
            Broken::Caller(_) | Broken::UpstreamBody(_) => Self::Cut(broken),
        }
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<Unanswered> for Trouble {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            // TLS 1.3 refuses a client's certificate after the client thinks that the handshake is done.
            Unanswered::Unsent(error) | Unanswered::Lost(error) => {
                Self::Failure(alert::refusal(&error).unwrap_or_else(|| {
                    Failure::new(
                        Reason::UpstreamProtocol,
                        format!("the upstream closed the connection without an answer: {error}"),
                    )
                }))
            }
            Unanswered::Failure(failure) => Self::Failure(failure),
            Unanswered::Cut(broken) => Self::Cut(broken),
        }
    }
}

fn timed_out(cause: &str) -> Unanswered {
    Unanswered::Failure(Failure::new(Reason::UpstreamTimeout, cause))
}

fn protocol(cause: &str) -> Unanswered {
    Unanswered::Failure(Failure::new(Reason::UpstreamProtocol, cause))
}

/// The three digits after `HTTP/1.x `; 0 for anything else, which the parser then refuses.
fn status_of(head: &[u8]) -> u16 {
    head.get(9..12)
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
