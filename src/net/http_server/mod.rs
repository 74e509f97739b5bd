//! The HTTP server of the admin listener and of the login callback. Its connections are limited in number,
//! size and time, so that a peer that sends nothing, or never stops, holds neither descriptors nor memory.
//!
//! ```text
//! serve       accepts and serves connections
//! answer      one request: its whole body first, then the router
//! slots       the limit on connections, and which one is closed above it
//! phase       what a connection waits for, and how long it may
//! tracked_io  observes when a request begins; closes without discarding the response
//! peer        where a request comes from
//! limits      the limits
//! ```

mod answer;
mod limits;
mod peer;
mod phase;
mod serve;
mod slots;
mod tracked_io;

pub use limits::ServerLimits;
pub use peer::PeerAddress;
pub use serve::serve;
