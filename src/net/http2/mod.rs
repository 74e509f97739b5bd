//! The server's side of an HTTP/2 connection (RFC 9113): which frames may come, what they change, and which are sent.
//!
//! Nothing here reads or writes a socket. The connection's task gives the bytes that have come to [`Receiver`], and takes those
//! to be written from [`Streams`]. The streams of a connection are served by futures of the same task.
//!
//! ```text
//! receiver   frames that have come -> requests, and changes of the streams
//! streams    the streams of a connection, and the frames that are to be written
//! receiving  content that comes, and the windows for it
//! sending    heads and content that are sent, and the windows for them
//! receive_window  a window for what comes
//! peer       what the caller accepts
//! turns      the order in which streams send that wait for each other
//! slot       one stream, for the connection
//! stream     one stream, for the future that serves it
//! body       the body of a request, as the bytes of an HTTP/1.1 body
//! flood      frames without content that are too many
//! ```
//!
//! Every amount that a caller can cause is limited: [`limits`](crate::proto::http2::limits), and the constants of each file.

mod body;
mod flood;
mod frames_io;
mod peer;
mod receive_window;
mod receiver;
mod receiving;
mod sending;
mod slot;
mod stream;
mod streams;
mod turns;

pub(crate) use body::RequestBody;
pub(crate) use frames_io::{End, FramesIo};
pub(crate) use receiver::Accepted;
#[cfg(any(test, fuzzing))]
pub(crate) use receiver::Receiver;
pub(crate) use stream::StreamHandle;
#[cfg(any(test, fuzzing))]
pub(crate) use streams::Streams;
