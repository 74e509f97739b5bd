//! A token that a server issued in an answer of its own form.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::lifetime::LifetimeMemory;
use super::stated_end::StatedEnd;
use crate::oauth2::token::IssuedToken;
use crate::refresh::{ClockReading, Expiry, schedule};
use crate::secret::Secret;

/// The token, with the end that the members around it and the token itself state. `sent` and `sent_at` are when it was asked for, by
/// both clocks.
///
/// # Errors
///
/// If it has characters that cannot be sent in a header, or if it has ended.
pub(crate) fn issued(
    token: &str,
    around: &Map<String, Value>,
    (sent, sent_at): (ClockReading, SystemTime),
) -> Result<IssuedToken, String> {
    let value = Some(token).filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic()));
    let value = value.and_then(|token| Secret::new(token.to_owned()).ok());
    let value =
        value.ok_or("it gave a token that is empty, or has characters that cannot be sent in a header")?;
    let end = StatedEnd::of(around, token, sent_at);
    let lifetime = LifetimeMemory::default().resolve(&end, None).map_err(|error| error.to_string())?;
    Ok(IssuedToken { value, expiry: Expiry::after(sent, schedule::usable_for(lifetime)), scope: None })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn left(token: &str, around: &Value) -> Result<u64, String> {
        let asked = (ClockReading::now(), SystemTime::now());
        let issued = issued(token, around.as_object().unwrap(), asked)?;
        Ok((issued.expiry.remaining() + Duration::from_secs(1)).as_secs())
    }

    #[test]
    fn issued_token_ends_as_the_answer_states() {
        assert!((590..=600).contains(&left("a", &json!({ "expires_in": "600" })).unwrap()));
        assert!((290..=300).contains(&left("a", &json!({})).unwrap()));
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!((590..=600).contains(&left("a", &json!({ "expires_on": (now + 600).to_string() })).unwrap()));
        assert!(left("a", &json!({ "expires_on": (now - 1).to_string() })).is_err());
        assert!(left("a", &json!({ "expireTime": "some day" })).is_err());
    }

    #[test]
    fn issued_token_can_be_sent() {
        for token in ["", "a b", "a\n", "é"] {
            assert!(left(token, &json!({ "expires_in": 600 })).is_err(), "{token:?}");
        }
    }
}
