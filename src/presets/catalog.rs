//! All presets.

use std::sync::OnceLock;

use super::preset::Preset;

const PROVIDERS: &str = include_str!("providers.yaml");

/// All presets, in the order of the file.
///
/// # Panics
///
/// If the file in the program is not valid, which a test excludes.
#[expect(clippy::expect_used, reason = "a test reads the file")]
pub fn all() -> &'static [Preset] {
    static ALL: OnceLock<Vec<Preset>> = OnceLock::new();
    ALL.get_or_init(|| serde_yaml::from_str(PROVIDERS).expect("providers.yaml is valid"))
}

/// The preset with this identifier.
pub fn find(id: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.id == id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_yaml::Value;

    use super::*;
    use crate::presets::placeholders::placeholders;

    fn collect<'v>(value: &'v Value, names: &mut HashSet<&'v str>) {
        match value {
            Value::String(text) => names.extend(placeholders(text)),
            Value::Sequence(items) => items.iter().for_each(|item| collect(item, names)),
            Value::Mapping(entries) => entries.values().for_each(|value| collect(value, names)),
            _ => {}
        }
    }

    #[test]
    fn every_preset_has_an_identifier_of_its_own() {
        let ids: HashSet<_> = all().iter().map(|preset| &preset.id).collect();
        assert_eq!(ids.len(), all().len());
        for preset in all() {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(preset.id.chars().all(is_name) && preset.id.len() <= 40, "{}", preset.id);
        }
    }

    #[test]
    fn every_placeholder_is_asked_for_and_every_question_is_used() {
        for preset in all() {
            let asked: HashSet<_> = preset.names().collect();
            assert_eq!(asked.len(), preset.names().count(), "{}: two questions have one name", preset.id);
            let mut used = HashSet::new();
            collect(&preset.service, &mut used);
            used.extend(preset.test_path.iter().flat_map(|path| placeholders(path)));
            assert_eq!(used, asked, "{}", preset.id);
        }
    }
}
