//! `<NAME>` in the texts of a preset.

/// The names in `<…>`.
pub(super) fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let is_name = |name: &&str| {
        !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    text.split('<').skip(1).filter_map(|part| part.split_once('>').map(|(name, _)| name)).filter(is_name)
}
