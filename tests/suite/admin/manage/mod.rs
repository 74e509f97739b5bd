//! Services that are added and changed through the admin API: what is written, what is refused, and where secrets are not.

mod add;
mod edit;
mod page;
mod refusals;
mod setup;
mod unmanaged;
