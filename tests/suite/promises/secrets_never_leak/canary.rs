//! Canary: a secret that can be recognised in any encoding.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};

/// A marked secret: characters that every encoding changes, around a core that most encodings keep.
#[derive(Debug, Clone)]
pub struct Canary {
    /// The secret's owner, for the message of a failing test.
    pub place: String,
    pub value: String,
    /// Any of these in a text reveals the canary, even if it was encoded or cut in half.
    traces: Vec<String>,
}

impl Canary {
    pub fn new(place: impl Into<String>) -> Self {
        let core: String = (0..24).map(|_| fastrand::char('a'..='z')).collect();
        Self { place: place.into(), value: format!("c+%/&={core}~:c"), traces: traces(&core) }
    }

    /// A canary in the form of a JWT.
    pub fn jwt(place: impl Into<String>) -> Self {
        let core: String = (0..24).map(|_| fastrand::char('a'..='z')).collect();
        Self { place: place.into(), value: format!("e30.{core}.c2ln"), traces: traces(&core) }
    }

    pub fn is_in(&self, text: &str) -> bool {
        self.trace_in(text).is_some()
    }

    fn trace_in(&self, text: &str) -> Option<&str> {
        self.traces.iter().find(|trace| text.contains(trace.as_str())).map(String::as_str)
    }
}

/// Halves of the core: unchanged, in upper case, in hexadecimal, reversed, and in Base64 at each of the three
/// alignments.
fn traces(core: &str) -> Vec<String> {
    let hex = core.bytes().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let list = core.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    let mut forms = vec![
        core.to_owned(),
        core.to_uppercase(),
        hex.to_uppercase(),
        hex,
        core.chars().rev().collect(),
        list,
    ];
    for alignment in 0..3 {
        let shifted = "x".repeat(alignment) + core;
        // The characters at both ends depend on their neighbours as well.
        let encoded = BASE64_STANDARD_NO_PAD.encode(shifted);
        forms.push(encoded[alignment + 2..encoded.len() - 2].to_owned());
    }
    let halves = |form: String| {
        let (first, second) = form.split_at(form.len() / 2);
        [first.to_owned(), second.to_owned()]
    };
    forms.into_iter().flat_map(halves).collect()
}

/// Fails if any of the canaries can be found in the text.
pub fn assert_none_in<'c>(what: &str, text: &str, canaries: impl IntoIterator<Item = &'c Canary>) {
    for canary in canaries {
        if let Some(trace) = canary.trace_in(text) {
            let at = text.find(trace).unwrap_or_default();
            let from = text[..at].char_indices().rev().nth(300).map_or(0, |(index, _)| index);
            let around: String = text[from..].chars().take(700).collect();
            panic!("{what} reveals the secret of {}:\n…{around}…", canary.place);
        }
    }
}

#[test]
fn canary_is_recognised_in_every_encoding() {
    let canary = Canary::new("test");
    let value = canary.value.as_str();
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let percent =
        percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string();
    let mut written = vec![
        value.to_owned(),
        form.to_lowercase(),
        percent,
        format!("{value:?}"),
        format!("{:?}", value.as_bytes()),
        value.chars().take(20).collect(),
    ];
    for prefix in ["", "u:", "user:", "user1:"] {
        written.push(BASE64_STANDARD.encode(format!("{prefix}{value}")));
        written.push(base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("{prefix}{value}")));
        written.push(BASE64_STANDARD.encode(format!("{prefix}{form}")));
    }
    for text in written {
        assert!(canary.is_in(&text), "{text}");
        assert!(!Canary::new("other").is_in(&text));
    }
}
