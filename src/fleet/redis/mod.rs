//! Redis and Valkey.
//!
//! ```text
//! scripts     the steps of the store, in Lua: each is made as a whole
//! connection  one connection, opened by Sidekey's own resolver and TLS, and opened again after a failure
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
mod replies;
mod scripts;
pub(super) mod subscriber;
