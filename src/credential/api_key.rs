//! `api_key`: a key in a header field, a query parameter or a cookie, after an optional prefix.

use form_urlencoded::Serializer;
use http::HeaderValue;
use zeroize::Zeroizing;

use super::{Slot, sensitive};
use crate::config::KeyLocation;
use crate::secret::Secret;

/// Where the key goes.
pub(super) fn slot(location: &KeyLocation) -> Slot {
    match location {
        KeyLocation::Header(name) => Slot::Header(name.clone()),
        KeyLocation::Query(name) => Slot::Query(name.clone()),
        KeyLocation::Cookie(name) => Slot::Cookie(name.clone()),
    }
}

/// What goes there.
pub(super) fn value(location: &KeyLocation, prefix: &str, key: &Secret) -> HeaderValue {
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
