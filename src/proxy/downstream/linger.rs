//! The lingering close of a connection whose caller may still be sending.

use std::future::pending;
use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::timeouts::LINGER_TIMEOUT;
use crate::net::buffer::Buffer;
use crate::proxy::wire::relay::Io;

/// Shuts the sending side down, and discards what the caller still sends for [`LINGER_TIMEOUT`]. An immediate
/// close would cause a reset, which can discard the response.
pub(crate) async fn linger(io: &mut impl Io, buffer: &mut Buffer) {
    linger_up_to(usize::MAX, io, buffer).await;
}

/// Like [`linger`], and discards `limit` bytes at most. More is not read, and the connection stays open for the rest of the time.
pub(crate) async fn linger_up_to(limit: usize, io: &mut impl Io, buffer: &mut Buffer) {
    let discard = async {
        io.shutdown().await?;
        let mut discarded = 0;
        while discarded < limit {
            buffer.clear();
            match buffer.fill(io).await? {
                0 => break,
                count => discarded += count,
            }
        }
        if discarded >= limit {
            // What is left unread makes the close a reset. Until then the caller can read what was written.
            pending::<()>().await;
        }
        io::Result::Ok(())
    };
    let _ = timeout(LINGER_TIMEOUT, discard).await;
}
