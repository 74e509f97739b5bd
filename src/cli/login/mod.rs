//! `sidekey login SERVICE`: obtains the consent of a user, once, for a service whose grant needs it. The refresh token that is
//! issued goes into `state.dir`, where a running Sidekey finds it.

mod authorization;
mod browser;
mod command;
mod device;
mod manual;
mod page;
mod redirect;
mod store;

pub(super) use command::{Args, login};
