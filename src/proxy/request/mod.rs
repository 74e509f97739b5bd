//! One request, from its head to the end of its response. Calls run down this list:
//!
//! ```text
//! exchange     one request: prepared, sent, its response passed back, or an error sent
//! response     what the head of a response says, and how it is passed back
//! retry        again after a 401, with another credential
//! send         sent and waited for; again after a lost connection
//! failover     another URL of the upstream
//! rewrite      the head written and signed again
//! signed_body  the body of a request whose credential signs it
//! state        the request in flight
//! refuse       a request that leads nowhere
//! prepare      parse, route, sign, write the upstream's head: no waiting
//! outcome      how a request ends for the caller's connection
//! ```

pub(super) mod exchange;
mod failover;
pub(super) mod outcome;
pub(super) mod prepare;
pub(super) mod refuse;
mod response;
mod retry;
mod rewrite;
mod send;
mod signed_body;
mod state;
