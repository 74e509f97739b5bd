//! One request, from its head to the end of its response. Calls run down this list:
//!
//! ```text
//! exchange     serves one request: prepares it, sends it, passes its response or an error back
//! response     decides by the response's head how the response is passed back
//! retry        sends a request again after a 401, with another credential
//! refresh_on   whether a rule of the service says that the credential was not accepted
//! send         sends a request and waits for the response; sends it again after a lost connection
//! failover     connects to another URL of the upstream
//! rewrite      writes and signs the head again
//! challenge    asks for the challenge of the upstream before a large body
//! signed_body  reads the body of a request whose credential signs it
//! caller_urls  how the URLs in a response are rewritten
//! state        the request in flight
//! refuse       the response to a request that is not forwarded
//! prepare      parses, routes, signs, writes the upstream's head, without waiting
//! audit        records decisions
//! caller       who sends the request
//! authorize    applies the rules of the service, and the roles of the caller
//! destination  rewrites the `Destination` and the `If` of a request
//! condition    where an `If` has URLs
//! wildcard     the endpoint for the host that a caller names
//! not_running  why a service does not run
//! rejection    a request that is not forwarded
//! outcome      how a request ends for the caller's connection
//! ```

pub(super) mod audit;
pub(super) mod authorize;
pub(super) mod caller;
mod caller_urls;
mod challenge;
mod condition;
mod destination;
pub(super) mod exchange;
mod failover;
mod not_running;
pub(super) mod outcome;
pub(super) mod page;
pub(super) mod prepare;
mod refresh_on;
pub(super) mod refuse;
pub(super) mod rejection;
mod response;
mod retry;
mod rewrite;
mod send;
mod signed_body;
mod state;
mod subject;
pub(super) mod wildcard;
