//! The region of an API of AWS, for which requests to it are signed.

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key};

/// The key of the region.
pub(in crate::credential) const REGION: Key = Key::optional(
    "region",
    Format::Text,
    "The region, such as `eu-west-1`. Default: `AWS_REGION` or `AWS_DEFAULT_REGION`.",
);

/// Reads the region, or takes it from the environment. Returns `None` only with an error on the report.
pub(in crate::credential) fn region(mapping: &mut Mapping<'_>) -> Option<String> {
    if let Some(value) = mapping.optional(REGION.name) {
        return value.parse(checked);
    }
    let value = mapping.value();
    let variable = |name: &str| value.environment()(name)?.into_string().ok().filter(|text| !text.is_empty());
    let text = variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    match text.as_deref().map(checked) {
        Some(Ok(region)) => Some(region),
        None if value.secrets().has_placeholders() => Some("placeholder".into()),
        Some(Err(_)) | None => {
            value.error("`region` is required: the environment has no AWS_REGION and no AWS_DEFAULT_REGION");
            None
        }
    }
}

fn checked(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("a region is letters, digits and hyphens: `eu-west-1`".into());
    }
    Ok(text.to_owned())
}
