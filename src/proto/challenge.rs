//! `WWW-Authenticate` (RFC 9110 §11.6.1): challenges, their schemes and parameters.

use httparse::Header;

use super::fields::is_tchar;

/// One challenge of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The authentication scheme, as it was received.
    pub scheme: String,
    /// The parameters in their order: names in lower case, values without quotes.
    pub parameters: Vec<(String, String)>,
}

impl Challenge {
    /// The value of the first parameter of this name, in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(parameter, _)| parameter == name).map(|(_, value)| value.as_str())
    }
}

/// The challenges of all `WWW-Authenticate` fields.
pub fn challenges(fields: &[Header<'_>]) -> Vec<Challenge> {
    let fields = fields.iter().filter(|field| field.name.eq_ignore_ascii_case("www-authenticate"));
    fields.flat_map(|field| parse(&String::from_utf8_lossy(field.value))).collect()
}

/// Whether a challenge has the parameter `error` with this code (RFC 6750 §3, RFC 9449 §7.1).
pub fn has_error(fields: &[Header<'_>], code: &str) -> bool {
    challenges(fields)
        .iter()
        .any(|challenge| challenge.parameter("error").is_some_and(|error| error.eq_ignore_ascii_case(code)))
}

/// The parameters of a field that has no scheme, such as `Authentication-Info` (RFC 9110 §11.6.3): names in lower case, values
/// without quotes.
pub fn parameters(value: &str) -> Vec<(String, String)> {
    elements(value).filter_map(parameter).collect()
}

/// Parses one field value. What is not a part of a challenge is skipped. A quoted string is always the value
/// of a parameter.
fn parse(value: &str) -> Vec<Challenge> {
    let mut challenges: Vec<Challenge> = Vec::new();
    for element in elements(value) {
        let (word, after) = split_token(element);
        if word.is_empty() {
            continue;
        }
        let is_parameter = after.trim_start().starts_with('=');
        if is_parameter && let Some(challenge) = challenges.last_mut() {
            challenge.parameters.extend(parameter(element));
            continue;
        }
        if is_parameter {
            continue;
        }
        let parameters = parameter(after.trim()).into_iter().collect();
        challenges.push(Challenge { scheme: word.to_owned(), parameters });
    }
    challenges
}

/// The elements of a list, split at commas outside of quoted strings.
fn elements(value: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let split = move |character: char| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => return true,
            _ => {}
        }
        false
    };
    value.split(split).map(str::trim)
}

/// Parses `name BWS = BWS value`, where the value is a token or a quoted string. `None` for a `token68` or
/// any other text.
fn parameter(text: &str) -> Option<(String, String)> {
    let (name, after) = split_token(text);
    let value = after.trim_start().strip_prefix('=')?.trim();
    if name.is_empty() || value.is_empty() || value.starts_with('=') {
        return None;
    }
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquote(quoted),
        None => split_token(value).0.to_owned(),
    };
    Some((name.to_ascii_lowercase(), value))
}

/// Returns the content of a quoted string (RFC 9110 §5.6.4) without its first quote.
fn unquote(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => value.extend(characters.next()),
            _ => value.push(character),
        }
    }
    value
}

/// Splits off the token (RFC 9110 §5.6.2) at the front of `text`.
fn split_token(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !is_tchar(byte)).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(value: &str, code: &str) -> bool {
        has_error(&[Header { name: "WWW-authenticate", value: value.as_bytes() }], code)
    }

    #[test]
    fn challenge_with_error_parameter_is_recognized() {
        for value in [
            "Bearer realm=\"x\", error=\"insufficient_scope\", scope=\"admin\"",
            "bearer ERROR = insufficient_scope",
            "Basic realm=x, Bearer error=\"insufficient_scope\"",
            "Negotiate YWJj==, Bearer error=insufficient_scope",
            ", ,Bearer error=\"insufficient\\_scope\"",
        ] {
            assert!(names(value, "insufficient_scope"), "{value}");
        }
    }

    #[test]
    fn challenge_without_error_parameter_has_no_error() {
        for value in [
            "Bearer",
            "Bearer error=\"invalid_token\"",
            "Bearer realm=\"insufficient_scope\"",
            "Bearer realm=\"x error=insufficient_scope\"",
            "Bearer realm=\"x, error=insufficient_scope\"",
            "Bearer realm=\"x\\\", error=insufficient_scope\"",
            "error=insufficient_scope",
            "",
        ] {
            assert!(!names(value, "insufficient_scope"), "{value}");
        }
        let other = Header { name: "x", value: b"Bearer error=insufficient_scope" };
        assert!(!has_error(&[other], "insufficient_scope"));
    }

    #[test]
    fn challenges_of_several_schemes_keep_their_parameters() {
        let value = "Digest realm=\"a,b\", qop=\"auth\", Newauth realm=\"apps\", type=1, Basic";
        let found = parse(value);
        let schemes: Vec<_> = found.iter().map(|challenge| challenge.scheme.as_str()).collect();
        assert_eq!(schemes, ["Digest", "Newauth", "Basic"]);
        assert_eq!(found[0].parameter("realm"), Some("a,b"));
        assert_eq!(found[1].parameter("type"), Some("1"));
        assert_eq!(found[2].parameters, []);
    }

    #[test]
    fn parameters_without_a_scheme_are_read() {
        let found = parameters("qop=auth, NextNonce=\"a\\\"b, c\", broken, nc=00000001");
        let expected = [("qop", "auth"), ("nextnonce", "a\"b, c"), ("nc", "00000001")];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    proptest! {
        #[test]
        fn challenge_parser_never_panics(value in ".{0,80}") {
            parse(&value);
        }
    }
}
