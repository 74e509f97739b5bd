//! The known word nearest to an unknown one: "did you mean".

/// Longer words are no slip of the finger, and more candidates are no list to compare by hand.
const MAX_LENGTH: usize = 64;
const MAX_CANDIDATES: usize = 1000;

/// The candidate a slip or two away, if there is one.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > MAX_LENGTH {
        return None;
    }
    let word = plain(word);
    let allowed = word.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .take(MAX_CANDIDATES)
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?` or nothing.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |found| format!("; did you mean `{found}`?"))
}

/// `; did you mean …?` or the full stop in its place.
pub(crate) fn ask<'c>(word: &str, known: impl Iterator<Item = &'c str>) -> String {
    let question = did_you_mean(word, known);
    if question.is_empty() { ".".into() } else { question }
}

/// Words with commas between them.
pub fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// `client-id` and `Client ID` are `client_id` to a person.
fn plain(word: &str) -> String {
    word.chars().map(|c| if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["upstream", "auth", "hosts", "client_id"];

    #[test]
    fn finds_slips_and_other_spellings() {
        assert_eq!(nearest("upstrem", KEYS), Some("upstream"));
        assert_eq!(nearest("atuh", KEYS), Some("auth"));
        assert_eq!(nearest("Client-ID", KEYS), Some("client_id"));
        assert_eq!(nearest("host", KEYS), Some("hosts"));
    }

    #[test]
    fn does_not_guess_wildly() {
        assert_eq!(nearest("colour", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
        assert_eq!(nearest(&"a".repeat(1000), KEYS), None);
    }
}
