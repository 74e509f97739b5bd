//! Reads sizes: `4096`, `64KiB`, `10MiB`, `10MB`.

use super::table::{Definition, Format};
use super::value::Value;

/// The format of a size that has a unit.
pub const SIZE: Format = Format::Defined(&Definition {
    name: "size",
    description: "65536, 64KiB, 10MiB, 10MB or 2GiB",
    format: Format::Text,
});

/// Reads a number of bytes: `4096`, `64KiB`, `10MiB`, `2GiB`; in `kB`, `MB`, `GB` the prefix is a power of
/// ten.
pub fn read(value: &Value<'_>) -> Option<u64> {
    if value.is_number() {
        return value.number();
    }
    value.parse(|text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => 0,
        };
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        bytes
            .filter(|_| factor > 0)
            .ok_or_else(|| "a size is written `65536`, `64KiB`, `10MiB`, `10MB` or `2GiB`".to_owned())
    })
}
