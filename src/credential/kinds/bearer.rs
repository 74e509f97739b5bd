//! `bearer`: a token that somebody else issued and Sidekey is given (RFC 6750 §2.1).

use http::HeaderValue;
use zeroize::Zeroizing;

use super::super::sensitive;
use crate::secret::Secret;

/// The value of `Authorization`: the configuration has the bare token.
pub(in crate::credential) fn value(token: &Secret) -> HeaderValue {
    sensitive(&Zeroizing::new(format!("Bearer {}", token.expose())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_scheme_itself() {
        let value = value(&Secret::new("mF_9.B5f-4.1JqM".into()).unwrap());
        assert_eq!(value, "Bearer mF_9.B5f-4.1JqM");
        assert!(value.is_sensitive());
    }
}
