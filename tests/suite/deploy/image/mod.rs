//! The container image.

mod container;
mod podman;
