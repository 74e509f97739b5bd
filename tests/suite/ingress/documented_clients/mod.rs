//! `docs/CLIENTS.md`: every code block is run as written, except for the addresses.

mod boto3;
mod commands;
mod document;
mod git;
mod languages;
mod npm;
mod octokit;
mod pip;
mod s3;
mod sections;
mod sigv4;
mod skopeo;
mod stage;
mod table;
