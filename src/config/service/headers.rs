//! `headers`: changes to the header fields of a service's requests.

use http::HeaderName;

use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Definition, Format, Key, Keys};
use crate::config::reader::value::Value;

/// The format of `headers`.
pub(super) const HEADERS: Format = Format::Defined(&Definition {
    name: "headers",
    description: "Changes to the header fields of requests.",
    format: Format::Keys(&[KEYS]),
});

const KEYS: Keys = &[Key::optional(
    "remove",
    Format::OneOrMore(&Format::Text),
    "Header fields of callers that are not passed on.",
)];

/// `headers` of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    /// The callers' fields that are not passed on.
    pub remove: Vec<HeaderName>,
}

/// Fields that frame a request, or belong to one connection: Sidekey writes them itself, or does not pass them on.
const RESERVED: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Reads `headers` of a service.
pub(crate) fn read(mapping: &mut Mapping<'_>) -> HeaderChanges {
    let Some(mut mapping) = mapping.optional("headers").and_then(|value| value.mapping()) else {
        return HeaderChanges::default();
    };
    let names = mapping.optional("remove").map_or_else(Vec::new, |value| value.one_or_more());
    let changes = HeaderChanges { remove: names.iter().filter_map(name).collect() };
    mapping.reject_unknown_keys();
    changes
}

fn name(value: &Value<'_>) -> Option<HeaderName> {
    value.parse(|text| {
        if text.contains('*') {
            return Err("`*` stands for no other characters here; list every header".into());
        }
        let name = HeaderName::try_from(text).map_err(|_| "not a valid header name")?;
        // Servers that read fields as variables take `_` for `-`.
        let folded = name.as_str().replace('_', "-");
        if RESERVED.contains(&folded.as_str()) || folded.starts_with("proxy-") {
            return Err(
                "this header frames the request or belongs to one connection; it cannot be removed".into()
            );
        }
        Ok(name)
    })
}
