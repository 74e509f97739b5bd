//! The composition root: builds everything from a configuration, starts it, reconfigures it and ends it. The only module
//! that sees all others; wiring, no logic.
//!
//! ```text
//! app               the running program: built, started, watched
//! reconfigure       a reload: prepare, then swap
//! shutdown          drain, stop, stop after an upgrade
//! missing_credentials  services that have no usable credential yet, for `sidekey exec`
//! snapshot          configuration -> what a request sees
//! services          configuration -> services at run time
//! refreshers        the refreshers of their tokens, shared by services and kept over reloads
//! listeners         configuration -> open sockets
//! responsive        whether the workers work, for a watchdog
//! worker            one thread that serves them
//! accept            the accept loop of TCP: the only file that names pingora
//! accept_unix       the accept loop of Unix sockets
//! caller_keys       the keys of issuers of callers' tokens
//! admin_server      the admin listener
//! otel              the export of traces
//! problems warnings  what the configuration has wrong, in the log
//! restart_only      settings that a reload compares, and those that need a restart
//! descriptor_limit  the number of connections that the limit on open files allows
//! standalone        one service without listeners, for `sidekey test` and for changes through the admin API
//! reachability      the servers of a configuration without services, for `sidekey check --online`
//! ```
//!
//! Threads: one control thread (refreshers, admin, signals) and `threads` workers. Each worker has an event loop of its own,
//! on which a connection stays for its whole life.

mod accept;
mod accept_unix;
mod admin_server;
#[expect(clippy::module_inception, reason = "the type that this module is named for, in a file of its own")]
mod app;
mod caller_keys;
mod descriptor_limit;
mod listeners;
mod missing_credentials;
mod otel;
mod problems;
mod reachability;
mod reconfigure;
mod refreshers;
mod responsive;
mod restart_only;
mod services;
mod shutdown;
mod snapshot;
mod standalone;
mod warnings;
mod worker;

pub use accept::ACCEPT_LOG;
pub use app::App;
pub use descriptor_limit::raise_descriptor_limit;
pub use listeners::ListenerInfo;
pub use missing_credentials::MissingCredential;
pub use reachability::{probe_shared_store, probe_targets};
pub use standalone::{StandaloneService, build_standalone, test_standalone};
pub use warnings::log_warnings;
