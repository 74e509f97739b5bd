//! Amounts of CPU and memory as Kubernetes writes them: `50m`, `1.5`, `128Mi`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// An amount of a resource. Its text is kept as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantity {
    text: String,
    amount: f64,
}

/// Suffixes with their factors, as `k8s.io/apimachinery/pkg/api/resource` has them.
const SUFFIXES: [(&str, f64); 16] = [
    ("", 1.0),
    ("n", 1e-9),
    ("u", 1e-6),
    ("m", 1e-3),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("E", 1e18),
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("Ei", 1_152_921_504_606_846_976.0),
];

impl FromStr for Quantity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || "not a quantity; examples: `50m`, `1`, `128Mi`".to_owned();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let factor = SUFFIXES.iter().find(|(name, _)| *name == suffix).map(|(_, factor)| factor);
        let is_number = number.len() <= 18 && number.starts_with(|c: char| c.is_ascii_digit());
        let number: f64 = number.parse().ok().filter(|_| is_number).ok_or_else(error)?;
        let amount = number * factor.ok_or_else(error)?;
        if amount <= 0.0 {
            return Err("must be greater than zero".into());
        }
        Ok(Self { text: text.to_owned(), amount })
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.amount.partial_cmp(&other.amount)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn quantity_keeps_its_text_and_is_compared_by_amount() {
        let parse = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(parse("1500m").to_string(), "1500m");
        assert!(parse("1500m") > parse("1") && parse("1Gi") > parse("1G") && parse("0.5") < parse("1"));
    }

    #[test]
    fn quantity_that_kubernetes_rejects_is_an_error() {
        for text in ["", "m", "-1", "1 Mi", "1mi", "1KB", "ten", ".", "1.2.3", "0", "0Mi", "١", "1\n"] {
            assert!(text.parse::<Quantity>().is_err(), "{text:?}");
        }
    }
}
