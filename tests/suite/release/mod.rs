//! What is released, and what makes the project one to adopt: artefacts, packages, the forge's files, the documentation as a site.

mod admin_api;
mod artefacts;
mod contents;
mod exit_codes;
mod forge;
mod oss_fuzz;
mod packages;
mod pages;
mod reproducible;
mod rpm;
mod site;
mod systemd;
