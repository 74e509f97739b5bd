//! What is released, and what makes the project one to adopt: artefacts, packages, the forge's files, the documentation as a site.

mod artefacts;
mod contents;
mod packages;
mod reproducible;
mod systemd;
