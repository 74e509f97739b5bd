//! An upstream of several URLs: a connection comes first, because the head that is sent names the URL.

use super::buffer::Buffer;
use super::exchange::Request;
use super::failure::{Failure, Reason};
use super::prepare::prepare;
use super::span::Spanning;

impl Request<'_> {
    /// Connects to the URL that `out` was written for, or to another one, for which `out` is then written anew. `head` is the
    /// caller's.
    pub(super) async fn reach(&mut self, head: &[u8], out: &mut Buffer) -> Result<(), Failure> {
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
            tracing::debug!(service.name = self.service.name, "another URL is tried: {error}");
            out.clear();
            let spanning = Spanning::Same(self.span.as_deref());
            let found =
                prepare(self.proxy, head, out, &failed, None, spanning).map_err(|refusal| refusal.failure)?;
            if out.is_empty() {
                return Err(Failure::new(Reason::CredentialUnavailable, "no usable credential any more"));
            }
            (self.endpoint, self.used) = (found.endpoint, found.used);
        }
    }
}
