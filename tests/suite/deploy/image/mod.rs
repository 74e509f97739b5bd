//! The container image.

mod container;
mod injected;
mod job;
mod pod;
mod podman;
mod proxy_env;
mod static_binary;

pub use podman::succeed;
pub use static_binary::static_binary;
