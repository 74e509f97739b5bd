//! The lingering close of a connection whose caller may still be sending.

use std::io;

use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::timeouts::LINGER_TIMEOUT;
use crate::net::buffer::Buffer;
use crate::proxy::wire::relay::Io;

/// Shuts the sending side down, and discards what the caller still sends for [`LINGER_TIMEOUT`]. An immediate
/// close would cause a reset, which can discard the response.
pub(crate) async fn linger(io: &mut impl Io, buffer: &mut Buffer) {
    let discard = async {
        io.shutdown().await?;
        while {
            buffer.clear();
            buffer.fill(io).await? > 0
        } {}
        io::Result::Ok(())
    };
    let _ = timeout(LINGER_TIMEOUT, discard).await;
}
