//! The container image.

mod container;
mod pod;
mod podman;
mod static_binary;

pub use podman::succeed;
pub use static_binary::static_binary;
