//! The documents of the API. They are made from the state at one moment, and nothing in them can hold a secret.

mod outcome;
mod service;
mod services;
mod timestamp;

pub(super) use outcome::{RefreshView, ReloadView};
pub(super) use service::ServiceView;
pub(super) use services::{AccessView, Changes, Counts, ServicesView};
