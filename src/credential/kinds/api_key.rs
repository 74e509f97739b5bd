//! `api_key`: a key in a header field, a query parameter or a cookie, after an optional prefix.

use form_urlencoded::Serializer;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::super::{Fixed, sensitive};
use crate::config::KeyLocation;
use crate::secret::Secret;

/// The key in its place.
pub(in crate::credential) fn signer(location: &KeyLocation, prefix: &str, key: &Secret) -> Fixed {
    let value = value(location, prefix, key);
    match location {
        KeyLocation::Header(name) => Fixed::fields([(name.clone(), value)]),
        KeyLocation::Query(name) => Fixed::fields([]).with_query([name.clone()], value),
        KeyLocation::Cookie(name) => Fixed::fields([]).with_cookie(name.clone(), value),
    }
}

/// The value of the field, or `name=value` for a query or a cookie.
fn value(location: &KeyLocation, prefix: &str, key: &Secret) -> HeaderValue {
    let key = Zeroizing::new(format!("{prefix}{}", key.expose()));
    match location {
        KeyLocation::Header(_) => sensitive(&key),
        KeyLocation::Query(name) => {
            sensitive(&Zeroizing::new(Serializer::new(String::new()).append_pair(name, &key).finish()))
        }
        KeyLocation::Cookie(name) => sensitive(&Zeroizing::new(format!("{name}={}", &*key))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(location: &KeyLocation, prefix: &str) -> String {
        let value = value(location, prefix, &Secret::new("k&y=1 ü".into()).unwrap());
        assert!(value.is_sensitive());
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn goes_where_it_is_told_to() {
        assert_eq!(written(&KeyLocation::Header(http::HeaderName::from_static("x-api-key")), ""), "k&y=1 ü");
        assert_eq!(written(&KeyLocation::Header(http::header::AUTHORIZATION), "Token "), "Token k&y=1 ü");
        assert_eq!(written(&KeyLocation::Query("api key".into()), ""), "api+key=k%26y%3D1+%C3%BC");
        assert_eq!(written(&KeyLocation::Cookie("sid".into()), "v1."), "sid=v1.k&y=1 ü");
    }
}
