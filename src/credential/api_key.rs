//! `api_key`: a key in a header field, a query parameter or a cookie, after an optional prefix.

use form_urlencoded::Serializer;
use zeroize::Zeroizing;

use super::{Credential, Slot, sensitive};
use crate::config::KeyLocation;
use crate::secret::Secret;

/// Builds the credential.
pub(super) fn credential(location: &KeyLocation, prefix: &str, key: &Secret) -> Credential {
    let key = Zeroizing::new(format!("{prefix}{}", key.expose()));
    match location {
        KeyLocation::Header(name) => {
            Credential::Static { slot: Slot::Header(name.clone()), value: sensitive(&key) }
        }
        KeyLocation::Query(name) => {
            let pair = Zeroizing::new(Serializer::new(String::new()).append_pair(name, &key).finish());
            Credential::Static { slot: Slot::Query(name.clone()), value: sensitive(&pair) }
        }
        KeyLocation::Cookie(name) => {
            let pair = Zeroizing::new(format!("{name}={}", &*key));
            Credential::Static { slot: Slot::Cookie(name.clone()), value: sensitive(&pair) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::Injection;

    fn written(location: &KeyLocation, prefix: &str) -> String {
        let credential = credential(location, prefix, &Secret::new("k&y=1 ü".into()).unwrap());
        let value = match credential.injection().unwrap().0 {
            Injection::Header(_, value) => value,
            Injection::Query(value) | Injection::Cookie(value) => value.clone(),
        };
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
