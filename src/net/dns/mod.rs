//! Host names to addresses: asynchronous, `/etc/hosts` and `/etc/resolv.conf` respected.
//!
//! ```text
//! resolver     looks names up, and refreshes cached answers in the background
//! cache_entry  the cached answer of one name, and how fresh it is
//! name_server  a name server for tests
//! ```

mod cache_entry;
#[cfg(test)]
mod name_server;
mod resolver;

pub use resolver::Resolver;
