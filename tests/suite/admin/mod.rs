//! The admin listener: access control, JSON API, actions, status page and probes.

mod access;
mod actions;
mod api;
mod limits;
mod manage;
mod many_services;
mod probes;
pub mod setup;
mod status_page;
mod status_page_newcomer;
