//! The member of an answer that the configuration names as the token.

use serde_json::{Map, Value};

use crate::config::TokenField;

/// The member of an answer that the configuration names as the token.
pub(crate) struct ChosenToken {
    /// Its value.
    pub(super) value: Value,
    /// The objects around it, from the inside out.
    pub(super) around: Vec<Map<String, Value>>,
}

impl ChosenToken {
    /// The member of an answer with these members; `None` if it is not there.
    pub(super) fn find(field: &TokenField, members: &Map<String, Value>) -> Option<Self> {
        let (value, around) = field.find(members)?;
        Some(Self { value: value.clone(), around: around.into_iter().cloned().collect() })
    }
}
