//! The wall clock, which tests set.

#[cfg(test)]
pub(crate) mod test_clock;

#[cfg(test)]
pub(crate) use test_clock::now as wall_now;

/// The time of the wall clock.
#[cfg(not(test))]
pub(crate) fn wall_now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
