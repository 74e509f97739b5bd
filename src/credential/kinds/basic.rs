//! `basic`: user name and password (RFC 7617, in UTF-8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::super::sensitive;
use crate::config::Username;
use crate::secret::Secret;

/// The value of `Authorization`.
pub(in crate::credential) fn value(username: &Username, password: Option<&Secret>) -> HeaderValue {
    let username = match username {
        Username::Text(text) => text,
        Username::Secret(secret) => secret.expose(),
    };
    let pair = Zeroizing::new(format!("{username}:{}", password.map_or("", Secret::expose)));
    sensitive(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_in_rfc_7617() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        let name = |text: &str| Username::Text(text.into());
        let value = |name, password: &str| value(&name, Some(&secret(password)));
        assert_eq!(value(name("Aladdin"), "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(value(name("test"), "123£"), "Basic dGVzdDoxMjPCow==");
        assert_eq!(super::value(&Username::Secret(secret("key")), None), "Basic a2V5Og==");
        assert!(value(name("a"), "b").is_sensitive());
    }
}
