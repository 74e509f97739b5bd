//! The process: start and end, upgrade, limits on open files, memory, and hardening.

mod constant_memory;
mod fd_limits;
mod hardening;
mod job;
mod lifecycle;
mod upgrade;
