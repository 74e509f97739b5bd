//! Reading any text ends with a configuration or with errors.

use proptest::prelude::*;

use super::invalid::all;
use crate::config::*;

const VALID: &str = include_str!("../../../config/services.yaml");

fn read(text: &str) -> Result<(), TestCaseError> {
    let environment = |name: &str| (name.len().is_multiple_of(2)).then(|| "value".into());
    match Config::parse_with(text, "any.yaml", &environment, crate::credential::AUTH_KINDS) {
        Ok(config) => prop_assert!(!config.services.is_empty() && !config.listen.is_empty()),
        Err(error) => {
            prop_assert!(!error.diagnostics().is_empty());
            let lines = text.split('\n').count();
            prop_assert!(
                error.diagnostics().iter().all(|diagnostic| diagnostic.line <= lines + 1),
                "{error}"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn parse_ends_on_arbitrary_text(text in any::<String>()) {
        read(&text)?;
    }

    #[test]
    fn parse_ends_on_yaml_punctuation(text in "[-a-c:{}\\[\\],&*!|>'\"%@#?$ \n\t<~0-9.]{0,80}") {
        read(&text)?;
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
        read(&text)?;
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
        read(&lines.join("\n"))?;
    }
}
