//! The tests: a folder for each area, a file for each subject. A `setup` module is shared by the tests of its
//! folder.

mod admin;
mod architecture;
mod cli;
mod credentials;
mod deploy;
mod exec;
mod fleet;
mod harness_selftest;
mod http;
mod http2;
mod ingress;
mod oauth2;
mod observability;
mod presets;
mod process;
mod promises;
mod real;
mod release;
mod reload;
mod teams;
mod trust;
mod upstream;
