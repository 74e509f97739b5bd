//! The frames of an HTTP/2 connection (RFC 9113): which may come, what they change, and which are sent.
//!
//! The two sides have most of it in common. What only a server or a client gets is in `requests` and `responses`.
//!
//! ```text
//! frames_io  reads and writes the frames of a connection; all else here does no I/O
//! receiver   frames that have come -> heads, and changes of the streams
//! requests   the server's side: requests that have come, and the drain
//! responses  the client's side: heads of responses that have come
//! streams    the streams of a connection, and the frames that are to be written
//! receiving  content that comes, and the windows for it
//! sending    heads and content that are sent, and the windows for them
//! receive_window  a window for what comes
//! peer       what the peer accepts
//! turns      the order in which streams send that wait for each other
//! slot       one stream, for the connection
//! stream     one stream, for the future that serves or uses it
//! body       the body that a stream brings, as the bytes of an HTTP/1.1 body
//! body_coding  how its content is read
//! error      why nothing more comes and goes on a stream
//! pause      a pause in the reading of a connection
//! flood      frames without content that are too many
//! ```
//!
//! The streams of a caller's connection are served by futures of the connection's task. Those of a connection to an upstream are used
//! by other tasks of the same thread, which wake that of the connection.
//!
//! Every amount that a peer can cause is limited: [`limits`](crate::proto::http2::limits), and the constants of each file.

mod body;
mod body_coding;
mod error;
mod flood;
mod frames_io;
mod pause;
mod peer;
mod receive_window;
mod receiver;
mod receiving;
mod requests;
mod responses;
mod sending;
mod slot;
mod stream;
mod streams;
mod turns;

pub(crate) use body::InboundBody;
pub(crate) use error::StreamError;
pub(crate) use frames_io::{End, FramesIo};
#[cfg(any(test, fuzzing))]
pub(crate) use receiver::{Receiver, Role};
pub(crate) use requests::{Accepted, Requests};
pub(crate) use responses::Responses;
pub(crate) use stream::StreamHandle;
pub(crate) use streams::Streams;
