//! Fleets in simulated time, with a store in memory that can fail in every way, and a provider that ends a grant if a refresh token
//! is spent twice.
//!
//! ```text
//! memory_store  the store, as the scripts of `redis/` behave, and its faults
//! provider      the provider
//! process       one process of the fleet
//! simulation    hours of faults with many seeds: what is promised is counted
//! steps         single situations
//! sidecars      ten thousand of them
//! ```

mod memory_store;
mod process;
mod provider;
mod sidecars;
mod simulation;
mod steps;
