//! The tests, a file for each promise or subject.

mod harness_itself;
