//! What the process gives up before it reads a secret, so that a fault in it reveals and reaches less.
//!
//! ```text
//! harden    all of it, in order, and what is in force
//! memory    no core dump, not traceable, not swapped
//! writes    folders that can be written to (Landlock)
//! syscalls  system calls that fail (seccomp)
//! outcome   how far each is in force
//! ```
//!
//! Everything here holds for the process, for the commands that it runs, and for a new process that it starts. Nothing of it can be
//! taken back. Commands are traceable, and their memory is not locked: `exec` resets that.

mod harden;
mod memory;
mod outcome;
mod syscalls;
mod writes;

pub use harden::{InForce, harden};
pub use memory::protect_memory;
pub use writes::Writable;
