//! `browser_origins`: the origins whose web pages may send requests.

use super::http_url;
use super::http_url::UrlPolicy;
use super::reader::mapping::Mapping;
use super::reader::value::Value;

/// Reads `browser_origins`: origins as browsers write them (RFC 6454 §6.2).
pub(super) fn read(mapping: &mut Mapping<'_>) -> Vec<String> {
    let values = mapping.optional("browser_origins").map_or_else(Vec::new, |value| value.one_or_more());
    values.iter().filter_map(origin).collect()
}

fn origin(value: &Value<'_>) -> Option<String> {
    value.parse(|text| {
        let url = http_url::parse(text, &UrlPolicy { plaintext: true, query: false })?;
        if url.path() != "/" {
            return Err("an origin has no path; example: https://app.example.com".into());
        }
        Ok(url.origin().ascii_serialization())
    })
}
