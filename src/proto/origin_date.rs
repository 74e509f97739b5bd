//! The time of an upstream's clock.

use std::time::SystemTime;

use httparse::Header;

/// The `Date` of a response, unless the response is from a cache: then it is that of an earlier one (RFC 9111 §5.1).
pub fn origin_date(fields: &[Header<'_>]) -> Option<SystemTime> {
    let find = |name: &str| fields.iter().find(|field| field.name.eq_ignore_ascii_case(name));
    let date = find("date").filter(|_| find("age").is_none())?;
    httpdate::parse_http_date(std::str::from_utf8(date.value).ok()?.trim()).ok()
}
