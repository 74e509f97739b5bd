//! Whatever the text, reading it ends, and ends in a configuration or in mistakes.

use proptest::prelude::*;

use super::invalid::all;
use crate::config::*;

const GOOD: &str = include_str!("../../../config/services.yaml");

fn read(text: &str) -> Result<(), TestCaseError> {
    let environment = |name: &str| (name.len().is_multiple_of(2)).then(|| "value".into());
    match Config::parse_with(text, "any.yaml", &environment, crate::credential::AUTH_KINDS) {
        Ok(config) => prop_assert!(!config.services.is_empty() && !config.listen.is_empty()),
        Err(error) => {
            prop_assert!(!error.diagnostics().is_empty());
            let lines = text.split('\n').count();
            prop_assert!(error.diagnostics().iter().all(|mistake| mistake.line <= lines + 1), "{error}");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn text_of_yaml_signs(text in "[-a-c:{}\\[\\],&*!|>'\"%@#?$ \n\t<~0-9.]{0,80}") {
        read(&text)?;
    }

    /// A cut and a piece of another file at any place of a good one.
    #[test]
    fn a_good_file_with_a_hole_and_a_patch(
        from in any::<prop::sample::Index>(),
        length in 0_usize..40,
        case in prop::sample::select(all().collect::<Vec<_>>()),
        start in any::<prop::sample::Index>(),
        patch in 0_usize..40,
    ) {
        let good: Vec<char> = GOOD.chars().collect();
        let other: Vec<char> = case.1.chars().chain(['\n']).collect();
        let (from, start) = (from.index(good.len()), start.index(other.len()));
        let text: String = good[..from]
            .iter()
            .chain(other.iter().skip(start).take(patch))
            .chain(good.iter().skip(from + length))
            .collect();
        read(&text)?;
    }

    /// One line of a good file where another stood.
    #[test]
    fn a_good_file_with_a_line_in_the_wrong_place(
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let mut lines: Vec<_> = GOOD.lines().collect();
        let line = lines.remove(from.index(lines.len()));
        lines.insert(to.index(lines.len()), line);
        read(&lines.join("\n"))?;
    }
}
