//! A duration that is written with its unit: `3600s`, `60 minutes`, `PT1H`.

/// Units and their seconds.
const UNITS: [(&str, f64); 17] = [
    ("ms", 0.001),
    ("millis", 0.001),
    ("milliseconds", 0.001),
    ("s", 1.0),
    ("sec", 1.0),
    ("secs", 1.0),
    ("second", 1.0),
    ("seconds", 1.0),
    ("m", 60.0),
    ("min", 60.0),
    ("mins", 60.0),
    ("minute", 60.0),
    ("minutes", 60.0),
    ("h", 3600.0),
    ("hour", 3600.0),
    ("hours", 3600.0),
    ("d", 86_400.0),
];

/// The seconds of a duration with a unit; `None` for any other text.
pub(super) fn seconds(text: &str) -> Option<f64> {
    let text = text.trim().to_ascii_lowercase();
    iso_8601(&text).or_else(|| with_unit(&text))
}

fn with_unit(text: &str) -> Option<f64> {
    let at = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = (text[..at].trim_end(), &text[at..]);
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, seconds)| number * seconds)
}

/// A duration of ISO 8601 in days, hours, minutes and seconds.
fn iso_8601(text: &str) -> Option<f64> {
    let rest = text.strip_prefix('p').filter(|rest| !rest.is_empty())?;
    let (days, time) = rest.split_once('t').unwrap_or((rest, ""));
    let days = if days.is_empty() { 0.0 } else { parts(days, &[('d', 86_400.0)])? };
    let time = if time.is_empty() { 0.0 } else { parts(time, &[('h', 3600.0), ('m', 60.0), ('s', 1.0)])? };
    Some(days + time)
}

/// The sum of numbers with these units, all of which are known.
fn parts(text: &str, units: &[(char, f64)]) -> Option<f64> {
    let (mut sum, mut rest) = (0.0, text);
    while !rest.is_empty() {
        let at = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let number: f64 = rest[..at].parse().ok()?;
        let unit = units.iter().find(|(unit, _)| rest[at..].starts_with(*unit))?.1;
        sum += number * unit;
        rest = &rest[at + 1..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_text_has_a_number_and_a_unit() {
        for (text, expected) in [
            ("3600s", 3600.0),
            ("3599.5s", 3599.5),
            (" 3600 Seconds ", 3600.0),
            ("90 min", 5400.0),
            ("1h", 3600.0),
            ("3600000ms", 3600.0),
            ("PT1H", 3600.0),
            ("PT3600S", 3600.0),
            ("PT1H30M0.5S", 5400.5),
            ("P1D", 86_400.0),
            ("P1DT1H", 90_000.0),
        ] {
            let found = seconds(text).unwrap_or_else(|| panic!("{text}"));
            assert!((found - expected).abs() < 1e-6, "{text}: {found}");
        }
        for text in
            ["", "s", "3600", "1 fortnight", "-5s", "infs", "nans", "p", "P1M", "PT", "1h30", "PT1X", "soon"]
        {
            assert_eq!(seconds(text).filter(|seconds| *seconds > 0.0), None, "{text}");
        }
    }
}
