//! The process: start and end, upgrade, limits on open files, and memory.

mod constant_memory;
mod fd_limits;
mod lifecycle;
mod upgrade;
