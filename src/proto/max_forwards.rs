//! `Max-Forwards` (RFC 9110 §7.6.2): how many more proxies may forward an `OPTIONS` or `TRACE` request.

use httparse::Header;

/// The number in `Max-Forwards`, the smallest one if the field is repeated; `None` if there is none. A value that
/// is not a number is ignored.
pub fn of(fields: &[Header<'_>]) -> Option<u64> {
    let all = fields.iter().filter(|field| is_name(field.name));
    all.filter_map(|field| number(field.value)).min()
}

/// Whether a field is `Max-Forwards`.
pub fn is_name(name: &str) -> bool {
    name.eq_ignore_ascii_case("max-forwards")
}

/// One more than the largest number that is passed on, which every server can read. A larger number becomes it, as RFC 9110 §7.6.2
/// allows.
const MAX: u64 = 1 << 31;

/// Parses digits.
fn number(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value.trim_ascii()).ok()?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(MAX).min(MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smallest_number_counts_and_text_is_ignored() {
        let of = |values: &[&str]| {
            let fields = values.iter().map(|value| Header { name: "MAX-forwards", value: value.as_bytes() });
            super::of(&fields.collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(
            (of(&["0"]), of(&["00"]), of(&[" 7 "]), of(&["7", "3"])),
            (Some(0), Some(0), Some(7), Some(3))
        );
        assert_eq!((of(&["-1"]), of(&[""]), of(&["1, 2"]), of(&["+1"])), (None, None, None, None));
        for huge in ["99999999999999999999999", "18446744073709551615", "2147483648"] {
            assert_eq!(of(&[huge]), Some(MAX), "{huge}");
        }
        assert_eq!((of(&["2147483647"]), of(&["00000000000000000000000001"])), (Some(MAX - 1), Some(1)));
    }
}
