//! Redis and Valkey.
//!
//! ```text
//! scripts     the steps of the store, in Lua: each is made as a whole
//! reach       connections to a server, opened by Sidekey's own resolver and TLS
//! primary     which server has the records: sentinels or nodes of a cluster name it
//! slot        which node of a cluster has a key
//! redirection which other node of a cluster has the keys of a command
//! dialer      opens connections to that server
//! connection  one of them, for all commands of a process, opened again after a failure
//! errors      what the errors of the library mean
//! commands    the steps, as the trait has them
//! replies     what the scripts return
//! subscriber  news of other processes, and the state of the store
//! ```
//!
//! Four keys belong to a name: `{PREFIX}:NAME:r` (record: a hash of `g`, the generation, and `v`, the sealed record), `:l` (lock:
//! a nonce), `:s` (who is spending the refresh token), `:f` (the last failure, sealed). The prefix is a hash tag, so that all of them
//! are in one slot.

pub(super) mod commands;
pub(super) mod connection;
pub(super) mod dialer;
mod errors;
mod primary;
mod reach;
mod redirection;
mod replies;
mod scripts;
mod slot;
pub(super) mod subscriber;

#[cfg(test)]
mod tests;
