//! `basic`: user name and password (RFC 7617, in UTF-8).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::sensitive;
use crate::secret::Secret;

/// The value of `Authorization`.
pub(super) fn value(username: &str, password: &Secret) -> HeaderValue {
    let pair = Zeroizing::new(format!("{username}:{}", password.expose()));
    sensitive(&Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_as_in_rfc_7617() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        assert_eq!(value("Aladdin", &secret("open sesame")), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(value("test", &secret("123£")), "Basic dGVzdDoxMjPCow==");
        assert!(value("a", &secret("b")).is_sensitive());
    }
}
