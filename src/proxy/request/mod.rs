//! One request: prepared, sent, retried, answered.

pub(super) mod exchange;
pub(super) mod failover;
pub(super) mod prepare;
pub(super) mod refuse;
pub(super) mod retry;
pub(super) mod send;
