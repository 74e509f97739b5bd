//! A fleet in simulated time, with a store in memory.
