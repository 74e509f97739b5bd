//! The stores of `secret_stores`, where the readers of secrets find them.

use std::any::Any;
use std::sync::Arc;

use super::error::Diagnostic;

/// A store as its kind reads it; the configuration does not know what it is.
pub type Store = Arc<dyn Any + Send + Sync>;

/// The stores, in the order of the file.
#[derive(Default)]
pub(crate) struct Stores(pub(crate) Vec<NamedStore>);

/// A store. The errors of an invalid one are those of what uses it.
pub(crate) struct NamedStore {
    pub(crate) name: String,
    /// The value of `type`; `None` if it is invalid.
    pub(crate) kind: Option<&'static str>,
    /// With `None` there is an error.
    pub(crate) store: Option<Store>,
    pub(crate) errors: Vec<Diagnostic>,
    pub(crate) is_used: bool,
}
