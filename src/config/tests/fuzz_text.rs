//! Reading any text ends with a configuration or with errors ([`configuration`]).

use proptest::prelude::*;

use super::invalid::all;
use crate::fuzzing::configuration;

const VALID: &str = include_str!("../../../config/services.yaml");

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn parse_ends_on_arbitrary_text(text in any::<String>()) {
        configuration(text.as_bytes());
    }

    #[test]
    fn parse_ends_on_yaml_punctuation(text in "[-a-c:{}\\[\\],&*!|>'\"%@#?$ \n\t<~0-9.]{0,80}") {
        configuration(text.as_bytes());
    }

    /// A valid file from which a part was removed, and into which a part of another file was inserted.
    #[test]
    fn parse_ends_on_a_spliced_file(
        from in any::<prop::sample::Index>(),
        length in 0_usize..40,
        case in prop::sample::select(all().collect::<Vec<_>>()),
        start in any::<prop::sample::Index>(),
        patch in 0_usize..40,
    ) {
        let valid: Vec<char> = VALID.chars().collect();
        let other: Vec<char> = case.1.chars().chain(['\n']).collect();
        let (from, start) = (from.index(valid.len()), start.index(other.len()));
        let text: String = valid[..from]
            .iter()
            .chain(other.iter().skip(start).take(patch))
            .chain(valid.iter().skip(from + length))
            .collect();
        configuration(text.as_bytes());
    }

    /// A valid file in which one line was moved.
    #[test]
    fn parse_ends_on_a_moved_line(
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<_> = VALID.lines().collect();
        let line = lines.remove(from.index(lines.len()));
        lines.insert(to.index(lines.len()), line);
        configuration(lines.join("\n").as_bytes());
    }
}
