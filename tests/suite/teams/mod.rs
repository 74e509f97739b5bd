//! Many teams: included files, and services with a mistake that are held back alone.

mod check;
mod held_back;
mod many_files;
mod reload;
mod roles;
pub mod setup;
