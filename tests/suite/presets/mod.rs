//! The presets of `sidekey add`, each tried against the rules of its provider. The rules are written by hand from the provider's
//! documentation, and are not derived from the presets.
//!
//! ```text
//! rules       what a provider can demand of a request, and of a token request
//! providers/  the rules of each provider, with sample answers and secrets
//! fake        all providers in one server, which accepts what keeps the rules
//! setup       the services that the presets make with the sample answers, on the way to the fake
//! tests       what holds for every preset
//! document    docs/PROVIDERS.md is what the presets say
//! ```

mod document;
pub mod fake;
mod mutants;
mod providers;
mod rules;
mod setup;
mod tests;
