//! Why nothing more comes and goes on a stream.

use std::io;

use crate::proto::http2::Reason;

/// The end of a stream before it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StreamError {
    /// The peer has reset it.
    #[error("the stream was reset by the peer: {0}")]
    ResetByPeer(Reason),
    /// This side has reset it, because of what came on it.
    #[error("the stream was reset: {0}")]
    Reset(Reason),
    /// The peer ends the connection, and has not processed the request of the stream (RFC 9113 §6.8).
    #[error("the peer ends the connection before it has processed the request: {0}")]
    Unprocessed(Reason),
    /// The connection has ended, because of what came on it.
    #[error("the connection was ended: {0}")]
    Connection(Reason),
    /// The connection of the stream has failed.
    #[error("{}", io::Error::from(*.0))]
    Io(io::ErrorKind),
}

impl StreamError {
    /// The error inside of an I/O error.
    pub(crate) fn find(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Io(kind) => kind.into(),
            other => Self::other(other),
        }
    }
}
