//! An upstream of several URLs: a connection comes first, because the head that is sent names the URL.

use super::exchange::Request;
use super::prepare::prepare;
use crate::net::buffer::Buffer;
use crate::proxy::error::{Failure, Reason};
use crate::proxy::span::Spanning;
use crate::upstream::{ConnectError, Endpoint};

impl Request<'_> {
    /// Connects to the URL that `out` was written for, or to another one, for which `out` is then written anew. `head` is the
    /// caller's.
    pub(crate) async fn reach(&mut self, head: &[u8], out: &mut Buffer) -> Result<(), Failure> {
        let upstream = &self.service.upstream;
        let mut failed = Vec::new();
        loop {
            if let Some(connection) = self.endpoint.idle(self.wish, self.facts.is_idempotent) {
                self.connection = Some(connection);
                return Ok(());
            }
            let error = match self.endpoint.connect(self.wish, upstream.timeouts.connect).await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    return Ok(());
                }
                Err(error) => error,
            };
            upstream.failed(self.endpoint);
            failed.push(self.endpoint);
            if failed.len() == upstream.endpoints().len() {
                return Err(error.into());
            }
            self.write_for_another(&error, head, out, &failed)?;
        }
    }

    /// A connection to another URL, and the request in `out` for that one, where there is none to the URL that was to have it
    /// once more. What was read of the request is held in `buffer`.
    pub(crate) async fn turn_elsewhere(
        &mut self,
        error: &ConnectError,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<(), Failure> {
        let head = buffer.held().and_then(|held| held.get(..self.head_length)).unwrap_or_default().to_vec();
        self.write_for_another(error, &head, out, &[self.endpoint])?;
        self.reach(&head, out).await?;
        self.bring_back(buffer, out)
    }

    /// Writes the head for another URL than those that have `failed`.
    fn write_for_another(
        &mut self,
        error: &ConnectError,
        head: &[u8],
        out: &mut Buffer,
        failed: &[&Endpoint],
    ) -> Result<(), Failure> {
        tracing::debug!(service.name = self.service.name, "another URL is tried: {error}");
        out.clear();
        let spanning = Spanning::Same(self.span.as_deref());
        let found = prepare(self.proxy, head, out, failed, self.refused, spanning)
            .map_err(|refusal| refusal.failure)?;
        if out.is_empty() {
            return Err(Failure::new(Reason::CredentialUnavailable, "no usable credential any more"));
        }
        (self.endpoint, self.used) = (found.endpoint, found.used);
        Ok(())
    }
}
