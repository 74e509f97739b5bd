//! The fields of a browser's request that tell where it comes from.

use httparse::Header;

/// The fields in which a browser describes the page that a request comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PageFields<'b> {
    /// `Sec-Fetch-Site` (Fetch Metadata, §2.3); empty if there are several.
    pub(crate) fetch_site: Option<&'b [u8]>,
    /// `Origin` (RFC 6454 §7); empty if there are several.
    pub(crate) origin: Option<&'b [u8]>,
}

impl<'b> PageFields<'b> {
    pub(super) fn read(&mut self, field: &Header<'b>) {
        let place = match field.name.len() {
            6 if field.name.eq_ignore_ascii_case("origin") => &mut self.origin,
            14 if field.name.eq_ignore_ascii_case("sec-fetch-site") => &mut self.fetch_site,
            _ => return,
        };
        let is_first = place.is_none();
        *place = Some(if is_first { field.value.trim_ascii() } else { b"" });
    }
}
