//! How the client proves who it is to the token endpoint (RFC 6749 §2.3.1). Always the one method that is configured:
//! probing costs a refused request per fetch.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::config::{BasicEncoding, ClientAuth};

/// What client authentication adds to a token request.
pub(super) enum Proof {
    /// An `Authorization` field.
    Header(HeaderValue),
    /// Form fields.
    Form(Vec<(&'static str, Zeroizing<String>)>),
}

/// Makes the proof, once: with a secret it is the same for every request.
pub(super) fn proof(client_id: &str, auth: &ClientAuth) -> Proof {
    match auth {
        ClientAuth::SecretBasic { secret, encoding } => {
            let part = |text: &str| match encoding {
                BasicEncoding::Rfc6749 => byte_serialize(text.as_bytes()).collect::<String>(),
                BasicEncoding::Raw => text.to_owned(),
            };
            let pair = Zeroizing::new(format!("{}:{}", part(client_id), part(secret.expose())));
            let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
            let mut header = HeaderValue::from_str(&value).expect("Base64 is a valid header value");
            header.set_sensitive(true);
            Proof::Header(header)
        }
        ClientAuth::SecretPost { secret } => Proof::Form(vec![
            ("client_id", Zeroizing::new(client_id.to_owned())),
            ("client_secret", Zeroizing::new(secret.expose().to_owned())),
        ]),
        // A public client says who it is (RFC 6749 §3.2.1); where the grant says who asks, there is nothing to say.
        ClientAuth::None if client_id.is_empty() => Proof::Form(Vec::new()),
        ClientAuth::None => Proof::Form(vec![("client_id", Zeroizing::new(client_id.to_owned()))]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn decoded(encoding: BasicEncoding) -> String {
        let secret = Secret::new("p@ss %+&=:é".into()).unwrap();
        let Proof::Header(value) = proof("weird:id+&", &ClientAuth::SecretBasic { secret, encoding }) else {
            panic!("a header")
        };
        assert!(value.is_sensitive());
        let encoded = value.to_str().unwrap().strip_prefix("Basic ").unwrap().to_owned();
        String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
    }

    #[test]
    fn basic_is_form_encoded_as_rfc_6749_says_or_raw() {
        assert_eq!(decoded(BasicEncoding::Rfc6749), "weird%3Aid%2B%26:p%40ss+%25%2B%26%3D%3A%C3%A9");
        assert_eq!(decoded(BasicEncoding::Raw), "weird:id+&:p@ss %+&=:é");
    }
}
