//! Which requests a service accepts, by method and path: `allow` and `deny`.
//!
//! ```text
//! rules      all rules of a service, and the decision about a request
//! rule       one rule: methods and a pattern
//! methods    the methods of a rule
//! pattern    the pattern of a path: segments, `*` and `**`
//! path       a path in the one form that every server reads alike, or the reason that there is none
//! ready      rules with a name, for common needs
//! overrides  header fields and parameters in which another method or path hides
//! ```

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod methods;
mod overrides;
mod path;
mod pattern;
mod ready;
mod rule;
#[expect(clippy::module_inception, reason = "the type that the module is about")]
mod rules;

pub use overrides::is_override;
pub use path::{Ambiguity, CanonicalPath, FoldedPath, path_at_upstream};
pub use pattern::{InvalidPattern, Pattern};
pub use ready::READY;
pub use rule::{InvalidRule, Rule};
pub use rules::{Decision, Denial, RequestView, Rules};
