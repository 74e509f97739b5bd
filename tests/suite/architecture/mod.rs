//! The architecture: floors, circles and further rules, checked against the parsed sources.

mod advisories;
mod circles;
mod circles_selftest;
mod dependencies;
mod exceptions;
mod files;
mod floors;
mod imports;
mod program;
mod public_face;
mod rules;
mod security_page;
mod words;
