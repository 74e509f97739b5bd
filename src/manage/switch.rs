//! `enabled`: a service is switched on or off, and its settings stay.

use serde_yaml::Value;

use crate::config::edit::{EditError, ServicesText};

const ENABLED: &str = "enabled";

/// The text of a services file with a service switched on or off. `text` is what it has now.
///
/// # Errors
///
/// If there is no such service, or its text cannot be changed by place.
pub fn switched(text: &str, name: &str, is_enabled: bool) -> Result<String, EditError> {
    let services = ServicesText::parse(text)?;
    match services.get(name, &[ENABLED]) {
        // `true` is the default.
        Some(_) if is_enabled => services.unset(name, &[ENABLED]),
        None if is_enabled && services.get(name, &[]).is_some() => Ok(text.to_owned()),
        _ => services.set(name, &[ENABLED], &Value::from(is_enabled)),
    }
}
