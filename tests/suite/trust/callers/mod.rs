//! `callers` and `roles` on the wire.

mod audit;
mod bearer;
mod connect;
mod connection;
mod jwt;
mod setup;
