//! Tokens that are requested with the token of a caller: one for each caller, never given to another.
//!
//! ```text
//! subject      the token that a caller presents
//! caller_token a token that was requested with it
//! cache        what is held for callers: tokens and refusals, both bounded
//! tokens       obtains, renews, and drops
//! turns        whose token request is made next
//! unavailable  why there is no token for a caller
//! ```
//!
//! | event | what happens |
//! |---|---|
//! | the first request of a caller | waits for one token request, as do all further requests of the same caller |
//! | a request after four fifths of the lifetime | is sent with the token that is held; a token request starts |
//! | the token has expired, or the caller's token has | dropped; the next request is a first one |
//! | 401 of the upstream | the token of this caller is requested again |
//! | the token endpoint refuses the caller's token | dropped; the caller gets 401, without a token request for some seconds |
//! | the token endpoint fails | the token that is held stays; without one the caller gets 503 |
//! | more tokens than `max_entries` | of the caller with the most tokens, the least recently used one is dropped |
//! | a caller presents one token after another | others have places of their own for token requests, and take turns with it |

mod cache;
mod caller_token;
mod subject;
mod tokens;
mod turns;
mod unavailable;

pub use subject::{Presenter, Subject};
pub use tokens::{CallerTokens, Exchange};
pub use unavailable::Unavailable;
pub(crate) use unavailable::without_tokens;
