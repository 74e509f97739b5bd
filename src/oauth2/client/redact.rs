//! What a token endpoint says is shown to operators; what it was sent, and what it issued, never is.
//!
//! Endpoints write back what they were sent: as it came, decoded, encoded anew. A text in which a secret can be found in
//! any such form is hidden as a whole, so that no half of one is left standing.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use form_urlencoded::byte_serialize;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::config::{ClientAuth, OAuth2, TokenUrl};

/// Shown in place of a text that gives something away.
const REDACTED: &str = "****";
/// A shorter value is a word or a number, not a secret; hiding it would hide half of all messages.
const MIN_SECRET_LENGTH: usize = 8;

/// Form fields whose values are no secrets; every other one is hidden from what is shown of the answer.
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

/// Knows what must not be shown.
#[derive(Clone, Default)]
pub(crate) struct Redactor {
    /// Decoded and in lower case, as [`normalize`] makes a text.
    values: Vec<Zeroizing<String>>,
    /// Parts of Base64 that are the same wherever in the encoded text the value stands.
    encoded: Vec<Zeroizing<String>>,
}

impl Redactor {
    /// Knows what every answer to a client with this configuration may write back. Some providers want a secret in the query
    /// of the URL or in a parameter of their own.
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
        if let Some((_, password)) = config.request.proxy.as_ref().and_then(|proxy| proxy.login.as_ref()) {
            redactor = redactor.redact_value(password.expose());
        }
        if let TokenUrl::Endpoint(url) = &config.token_url {
            for (_, value) in url.query_pairs() {
                redactor = redactor.redact_if_long(&value);
            }
        }
        for (_, value) in &config.endpoint_params {
            redactor = redactor.redact_if_long(value);
        }
        redactor
    }

    /// Redacts the secrets among the fields of a request from now on.
    pub(crate) fn redact_fields<'f>(self, fields: impl Iterator<Item = (&'f str, &'f str)>) -> Self {
        let secrets = fields.filter(|(name, _)| !NON_SECRET_FIELDS.contains(name));
        secrets.fold(self, |redactor, (_, value)| redactor.redact_value(value))
    }

    /// Hides this value from now on, however it is written.
    pub(crate) fn redact_value(mut self, value: &str) -> Self {
        let form = Zeroizing::new(byte_serialize(value.as_bytes()).collect::<String>());
        for value in [value, &form] {
            for alignment in 0..3 {
                let bytes = Zeroizing::new([&b"xxx"[..alignment], value.as_bytes()].concat());
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let encoded = Zeroizing::new(engine.encode(&*bytes));
                    // The characters at both ends depend on the neighbours as well.
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

    /// The same for a value that may or may not be a secret.
    pub(crate) fn redact_if_long(self, value: &str) -> Self {
        if value.len() < MIN_SECRET_LENGTH || value.contains("://") { self } else { self.redact_value(value) }
    }

    /// The text, or what is shown in its place.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> &'a str {
        let (decoded, lower) = (normalize(text), Zeroizing::new(text.to_lowercase()));
        let contains_secret =
            |value: &Zeroizing<String>| decoded.contains(value.as_str()) || lower.contains(value.as_str());
        let has_secret = self.values.iter().any(contains_secret)
            || self.encoded.iter().any(|value| text.contains(value.as_str()));
        if has_secret { REDACTED } else { text }
    }
}

/// Without percent-encoding, and in one case.
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
    fn finds_a_value_in_every_form_an_endpoint_may_write_it_in() {
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
    fn leaves_what_tells_nothing() {
        let redactor = Redactor::default()
            .redact_value("hunter2")
            .redact_if_long("read")
            .redact_if_long("https://crm.example.com");
        for text in
            ["", "AADSTS7000215: Invalid client secret", "cannot read https://crm.example.com", "100%"]
        {
            assert_eq!(redactor.apply(text), text);
        }
    }
}
