//! Finds the known word that is most similar to an unknown one: "did you mean".

/// Longest word that is compared: a longer one is not a misspelled key.
const MAX_LENGTH: usize = 64;
/// Largest number of words that are compared.
const MAX_CANDIDATES: usize = 1000;

/// What other programs call a key.
const SYNONYMS: [(&str, &str); 28] = [
    ("user", "username"),
    ("login", "username"),
    ("pass", "password"),
    ("passwd", "password"),
    ("pwd", "password"),
    ("id", "client_id"),
    ("app_id", "client_id"),
    ("secret", "client_secret"),
    ("app_secret", "client_secret"),
    ("access_token", "token"),
    ("bearer", "token"),
    ("bearer_token", "token"),
    ("value", "token"),
    ("api_key", "value"),
    ("apikey", "value"),
    ("key", "value"),
    ("token", "value"),
    ("header", "name"),
    ("kind", "type"),
    ("grant", "grant_type"),
    ("token_endpoint", "token_url"),
    ("scope", "scopes"),
    ("url", "upstream"),
    ("base_url", "upstream"),
    ("target", "upstream"),
    ("backend", "upstream"),
    ("credentials", "auth"),
    ("authentication", "auth"),
];

/// The candidate that other programs call so, or the most similar one, if one differs in a third of the characters at
/// most.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.len() > MAX_LENGTH {
        return None;
    }
    let word = plain(word);
    let candidates: Vec<_> = candidates.into_iter().take(MAX_CANDIDATES).collect();
    let mut meant = SYNONYMS.iter().filter(|(other, _)| *other == word).map(|(_, key)| *key);
    if let Some(found) = meant.find_map(|key| candidates.iter().copied().find(|known| *known == key)) {
        return Some(found);
    }
    let allowed = word.chars().count().div_ceil(3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= MAX_LENGTH)
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `; did you mean …?`, or nothing if no word is similar.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    nearest(word, candidates).map_or_else(String::new, |found| format!("; did you mean `{found}`?"))
}

/// `; did you mean …?`, or a full stop if no word is similar.
pub(crate) fn ask<'c>(word: &str, known: impl Iterator<Item = &'c str>) -> String {
    let question = did_you_mean(word, known);
    if question.is_empty() { ".".into() } else { question }
}

/// The words, separated by commas.
pub fn list<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.into_iter().collect();
    if words.is_empty() { "nothing".into() } else { words.join(", ") }
}

/// The normal form in which words are compared: `client-id` and `Client ID` are `client_id`.
fn plain(word: &str) -> String {
    word.chars().map(|c| if matches!(c, '-' | ' ') { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [&str; 4] = ["upstream", "auth", "hosts", "client_id"];

    #[test]
    fn nearest_finds_typos_and_other_spellings() {
        assert_eq!(nearest("upstrem", KEYS), Some("upstream"));
        assert_eq!(nearest("atuh", KEYS), Some("auth"));
        assert_eq!(nearest("Client-ID", KEYS), Some("client_id"));
        assert_eq!(nearest("host", KEYS), Some("hosts"));
    }

    #[test]
    fn nearest_knows_what_other_programs_call_a_key() {
        let basic = ["type", "username", "password"];
        assert_eq!(nearest("user", basic), Some("username"));
        assert_eq!(nearest("Pass", basic), Some("password"));
        assert_eq!(nearest("key", ["in", "name", "value"]), Some("value"));
        assert_eq!(nearest("header", ["in", "name", "value"]), Some("name"));
        assert_eq!(nearest("key", ["key", "kye"]), Some("key"));
        assert_eq!(nearest("url", KEYS), Some("upstream"));
        assert_eq!(nearest("user", KEYS), None);
    }

    #[test]
    fn nearest_ignores_different_words() {
        assert_eq!(nearest("colour", KEYS), None);
        assert_eq!(nearest("", KEYS), None);
        assert_eq!(nearest(&"a".repeat(1000), KEYS), None);
    }
}
