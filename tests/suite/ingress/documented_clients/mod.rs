//! `docs/CLIENTS.md`: every code block is run as written, except for the addresses.

mod languages;
