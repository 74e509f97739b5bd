//! Many processes, one token: fleets of the real program with a real Redis, and a provider that ends a grant if a refresh token
//! is spent twice.

mod access_tokens;
mod commands;
mod documented;
mod failovers;
mod faults;
mod kinds;
mod large;
mod observed;
mod real_provider;
mod refresh_tokens;
mod resharding;
mod roll_out;
mod setup;
mod store_lost;
mod store_reads;
mod store_rejects;
mod topologies;
