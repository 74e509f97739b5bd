//! `sidekey login`: a person's consent, for a running Sidekey that waits for it.

mod authorization_code;
mod device_code;
mod no_browser;
mod rejections;
mod setup;
mod stray_callbacks;
