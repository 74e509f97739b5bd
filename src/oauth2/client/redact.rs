//! Redaction of what a token endpoint answers. Its texts are shown to operators; what it was sent and what it
//! issued never is.
//!
//! Endpoints repeat what they were sent: verbatim, decoded, or encoded differently. A text that contains a
//! secret in any such form is redacted as a whole, so that no part of the secret is left. No decision depends
//! on a redacted text: a secret may be a part of any word.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use form_urlencoded::byte_serialize;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::config::{ClientAuth, OAuth2, TokenUrl, Username};

/// What is shown in place of a redacted text.
const REDACTED: &str = "****";
/// A value of fewer bytes is found as a whole word only: as a part of one it is in half of all messages.
const MIN_SECRET_LENGTH: usize = 8;
/// A value of fewer bytes is not redacted: it is found by trying.
const MIN_WORD_LENGTH: usize = 4;

/// Form fields whose values are not secrets. The values of all others are redacted in what is shown of the
/// answer.
const NON_SECRET_FIELDS: [&str; 12] = [
    "grant_type",
    "scope",
    "client_id",
    "username",
    "redirect_uri",
    "audience",
    "resource",
    "subject_token_type",
    "actor_token_type",
    "requested_token_type",
    "code_challenge",
    "code_challenge_method",
];

/// The values that must not be shown, in the forms in which they may appear.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// The values, as [`normalize`] changes a text.
    values: Vec<Zeroizing<String>>,
    /// Values that are found as whole words only.
    words: Vec<Zeroizing<String>>,
    /// Parts of the values in Base64 that are the same at any position in the encoded text.
    encoded: Vec<Zeroizing<String>>,
}

impl Redactor {
    /// The secrets of a configuration, which any answer may repeat. Some providers require a secret in the
    /// query of the URL or in a parameter of their own.
    pub(crate) fn for_config(config: &OAuth2) -> Self {
        let mut redactor = match &config.client_auth {
            ClientAuth::SecretBasic { secret, .. }
            | ClientAuth::SecretPost { secret }
            | ClientAuth::SecretJwt { secret, .. } => Redactor::default().redact_value(secret.expose()),
            _ => Redactor::default(),
        };
        for (_, value) in &config.request.headers {
            redactor = redactor.redact_if_long(value.expose());
        }
        if let Some((username, password)) =
            config.request.proxy.as_ref().and_then(|proxy| proxy.credentials.as_ref())
        {
            let username = if let Username::Secret(username) = username { Some(username) } else { None };
            for secret in username.into_iter().chain(password) {
                redactor = redactor.redact_value(secret.expose());
            }
        }
        if let TokenUrl::Endpoint(url) = &config.token_url {
            for (_, value) in url.query_pairs() {
                redactor = redactor.redact_if_long(&value);
            }
        }
        for (_, value) in &config.request.params {
            redactor = redactor.redact_if_long(value);
        }
        redactor
    }

    /// Adds the secrets among the fields of a request.
    pub(crate) fn redact_fields<'f>(self, fields: impl Iterator<Item = (&'f str, &'f str)>) -> Self {
        let secrets = fields.filter(|(name, _)| !NON_SECRET_FIELDS.contains(name));
        secrets.fold(self, |redactor, (_, value)| redactor.redact_value(value))
    }

    /// Adds a secret.
    pub(crate) fn redact_value(mut self, value: &str) -> Self {
        if value.len() < MIN_SECRET_LENGTH {
            if value.len() >= MIN_WORD_LENGTH {
                self.words.push(normalize(value));
                self.words.push(Zeroizing::new(value.to_lowercase()));
            }
            return self;
        }
        let form = Zeroizing::new(byte_serialize(value.as_bytes()).collect::<String>());
        for value in [value, &form] {
            for alignment in 0..3 {
                let bytes = Zeroizing::new([&b"xxx"[..alignment], value.as_bytes()].concat());
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let encoded = Zeroizing::new(engine.encode(&*bytes));
                    // The characters at both ends depend on the adjacent bytes.
                    let inner = encoded.get(alignment + 1..encoded.len().saturating_sub(2));
                    let inner = inner.filter(|inner| inner.len() >= MIN_SECRET_LENGTH);
                    self.encoded.extend(inner.map(|inner| Zeroizing::new(inner.to_owned())));
                }
            }
        }
        self.values.push(normalize(value));
        self.values.push(Zeroizing::new(value.to_lowercase()));
        self
    }

    /// Adds a value that may or may not be a secret, unless it is short or a URL.
    pub(crate) fn redact_if_long(self, value: &str) -> Self {
        if value.contains("://") { self } else { self.redact_token(value) }
    }

    /// Adds a token, unless it is short.
    pub(crate) fn redact_token(self, value: &str) -> Self {
        if value.len() < MIN_SECRET_LENGTH { self } else { self.redact_value(value) }
    }

    /// The text, redacted if it contains a secret.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> &'a str {
        let (decoded, lower) = (normalize(text), Zeroizing::new(text.to_lowercase()));
        let contains_secret =
            |value: &Zeroizing<String>| decoded.contains(value.as_str()) || lower.contains(value.as_str());
        let contains_word =
            |word: &Zeroizing<String>| has_word(&decoded, word.as_str()) || has_word(&lower, word.as_str());
        let has_secret = self.values.iter().any(contains_secret)
            || self.words.iter().any(contains_word)
            || self.encoded.iter().any(|value| text.contains(value.as_str()));
        if has_secret { REDACTED } else { text }
    }
}

/// Whether the text has the word, with no letter, digit or underscore beside it.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            !text[..at].chars().next_back().is_some_and(is_part)
                && !text[at + word.len()..].chars().next().is_some_and(is_part)
        })
}

/// The text in lower case and without percent-encoding.
fn normalize(text: &str) -> Zeroizing<String> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let bytes = Zeroizing::new(percent_decode_str(&spaced).collect::<Vec<u8>>());
    Zeroizing::new(String::from_utf8_lossy(&bytes).to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

    #[test]
    fn redactor_finds_a_secret_in_every_encoding() {
        let secret = "p@ss +word%41/é=&";
        let redactor = Redactor::default().redact_value(secret);
        let form: String = byte_serialize(secret.as_bytes()).collect();
        for written in [
            secret.to_owned(),
            secret.to_uppercase(),
            form.clone(),
            form.to_lowercase(),
            form.replace('+', "%20"),
            utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string(),
            STANDARD_NO_PAD.encode(secret),
            STANDARD_NO_PAD.encode(format!("id:{secret}")),
            STANDARD_NO_PAD.encode(format!("i:{secret}")),
            STANDARD_NO_PAD.encode(format!("{secret}, it is")),
            URL_SAFE_NO_PAD.encode(&form),
        ] {
            assert_eq!(redactor.apply(&format!("you sent «{written}»")), REDACTED, "{written}");
        }
    }

    #[test]
    fn redactor_finds_a_short_secret_as_a_whole_word_only() {
        let redactor = Redactor::default().redact_value("hunter2").redact_value("grant").redact_value("no");
        for text in ["hunter2", "wrong: hunter2", "\"Hunter2\" is wrong", "the grant", "x=grant&y"] {
            assert_eq!(redactor.apply(text), REDACTED, "{text}");
        }
        for text in ["invalid_grant", "granted", "hunter22", "no", "no client", ""] {
            assert_eq!(redactor.apply(text), text);
        }
    }

    #[test]
    fn redactor_with_an_empty_value_redacts_nothing() {
        let redactor = Redactor::default().redact_value("").redact_value(" ");
        assert_eq!(redactor.apply("the client is unknown"), "the client is unknown");
    }

    #[test]
    fn redactor_leaves_texts_without_secrets() {
        let redactor = Redactor::default()
            .redact_value("hunter22")
            .redact_if_long("read")
            .redact_if_long("https://crm.example.com");
        for text in
            ["", "AADSTS7000215: Invalid client secret", "cannot read https://crm.example.com", "100%"]
        {
            assert_eq!(redactor.apply(text), text);
        }
    }
}
