//! Failover between the URLs of an upstream. The connection is opened before anything is sent, because the
//! head that is sent names the URL.

use super::state::Request;
use crate::metrics::{RetryReason, RetryResult};
use crate::net::buffer::Buffer;
use crate::proxy::error::{ErrorReason, ProxyError};
use crate::upstream::{ConnectError, Endpoint};

impl Request<'_> {
    /// Connects to the URL that `out` was written for. If that fails, writes `out` for another URL and
    /// connects to that one. `head` is the caller's. Each URL after the first one counts as a retry;
    /// `is_retry` says whether the first one does.
    pub(super) async fn connect_any(
        &mut self,
        head: &[u8],
        out: &mut Buffer,
        mut is_retry: bool,
    ) -> Result<(), ProxyError> {
        let upstream = &self.service.upstream;
        let mut failed = Vec::new();
        loop {
            let connected = match self.endpoint.idle(self.protocol_requirements, self.meta.is_idempotent) {
                Some(connection) => Ok(connection),
                None => self.endpoint.connect(self.protocol_requirements, upstream.timeouts.connect).await,
            };
            if is_retry {
                let result = if connected.is_ok() { RetryResult::Success } else { RetryResult::Error };
                self.service.metrics.retried(RetryReason::Connect, result);
            }
            let error = match connected {
                Ok(connection) => {
                    self.connection = Some(connection);
                    return Ok(());
                }
                Err(error) => error,
            };
            if !error.is_of_upstream() {
                // Another URL would need a descriptor as well.
                return Err(error.into());
            }
            upstream.record_failure(self.endpoint);
            failed.push(self.endpoint);
            if failed.len() == upstream.endpoints().len() {
                return Err(error.into());
            }
            self.rewrite_for_next_endpoint(&error, head, out, &failed)?;
            is_retry = true;
        }
    }

    /// Connects to another URL and writes the request in `out` for it, after the connection for a retry has
    /// failed. What was read of the request is retained in `buffer`.
    pub(super) async fn fail_over(
        &mut self,
        error: &ConnectError,
        buffer: &mut Buffer,
        out: &mut Buffer,
    ) -> Result<(), ProxyError> {
        let head =
            buffer.retained().and_then(|read| read.get(..self.head_length)).unwrap_or_default().to_vec();
        self.rewrite_for_next_endpoint(error, &head, out, &[self.endpoint])?;
        self.connect_any(&head, out, true).await?;
        self.rewind_body(buffer, out)
    }

    /// Writes the head for a URL that is none of `failed`.
    fn rewrite_for_next_endpoint(
        &mut self,
        error: &ConnectError,
        head: &[u8],
        out: &mut Buffer,
        failed: &[&Endpoint],
    ) -> Result<(), ProxyError> {
        tracing::debug!(sidekey.service = self.service.name, "another URL is tried: {error}");
        out.clear();
        self.write_head(head, out, failed)?;
        if out.is_empty() {
            return Err(ProxyError::new(ErrorReason::CredentialUnavailable, "no usable credential any more"));
        }
        Ok(())
    }
}
