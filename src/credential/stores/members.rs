//! Values in a JSON text that may be secret: found without a copy that is not wiped.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::secret::SecretText;

/// Why a text has no usable member of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::credential) enum MemberError {
    #[error("it is not a JSON object")]
    NotAnObject,
    #[error("the secret has no field of this name")]
    Missing,
    #[error("the field is null")]
    Null,
    #[error("the field is a JSON object or list, and no text")]
    NotText,
}

/// The value of a member of a JSON object: a text, or a number or bool as it is written.
pub(in crate::credential) fn member(json: &str, name: &str) -> Result<SecretText, MemberError> {
    let members: BTreeMap<String, &RawValue> =
        serde_json::from_str(json).map_err(|_| MemberError::NotAnObject)?;
    let value = members.get(name).ok_or(MemberError::Missing)?.get();
    let text = match value.as_bytes().first() {
        Some(b'"') => {
            serde_json::from_str::<Zeroizing<String>>(value).map_err(|_| MemberError::NotAnObject)?
        }
        Some(b'{' | b'[') => return Err(MemberError::NotText),
        Some(b'n') | None => return Err(MemberError::Null),
        Some(_) => Zeroizing::new(value.to_owned()),
    };
    Ok(SecretText::verbatim(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, name: &str) -> Result<String, MemberError> {
        member(json, name).map(|text| text.into_secret().unwrap().expose().to_owned())
    }

    #[test]
    fn member_is_text_or_what_is_written() {
        let json = r#"{"a": "x\"\u00e9", "n": 1.50, "t": true, "o": {"a": "y"}, "z": null, "l": []}"#;
        assert_eq!(read(json, "a").as_deref(), Ok("x\"é"));
        assert_eq!(read(json, "n").as_deref(), Ok("1.50"));
        assert_eq!(read(json, "t").as_deref(), Ok("true"));
        assert_eq!(read(json, "o"), Err(MemberError::NotText));
        assert_eq!(read(json, "l"), Err(MemberError::NotText));
        assert_eq!(read(json, "z"), Err(MemberError::Null));
        assert_eq!(read(json, "b"), Err(MemberError::Missing));
        for other in ["", "[]", "\"a\"", "{\"a\": 1} x"] {
            assert_eq!(read(other, "a"), Err(MemberError::NotAnObject), "{other}");
        }
    }
}
