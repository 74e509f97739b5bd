//! The members of an answer: a JSON object or a form, in any charset.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};
use http::{HeaderMap, header};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::chosen_token::ChosenToken;
use super::raw_response::RawResponse;
use super::response_error;
use super::stated_end::{container, names};
use super::utf32;
use crate::config::TokenField;
use crate::refresh::{SourceError, SourceErrorKind};

/// The members of an answer that is not an error, from a token endpoint or a device authorization endpoint.
pub(crate) fn parse_object(answer: &RawResponse) -> Result<Map<String, Value>, SourceError> {
    parse_token(answer, None).map(|(members, _)| members)
}

/// The members of an answer that is not an error, and the one that is the token, if the configuration names it. That is found
/// by its exact name, before any member gets another one.
pub(crate) fn parse_token(
    answer: &RawResponse,
    field: Option<&TokenField>,
) -> Result<(Map<String, Value>, Option<ChosenToken>), SourceError> {
    let (members, chosen) = match members(&answer.headers, &answer.body) {
        None => (None, None),
        Some(Members { mut members, is_json }) => {
            let chosen = field.and_then(|field| ChosenToken::find(field, &members));
            if is_json {
                use_standard_names(&mut members);
            }
            (Some(members), chosen)
        }
    };
    // An error counts under any status: GitHub and Slack send errors with 200.
    let stated =
        members.as_ref().and_then(|members| response_error::stated(answer, members, chosen.as_ref()));
    if let Some(error) = stated {
        return Err(error);
    }
    if !answer.status.is_success() {
        return Err(response_error::of_status(answer));
    }
    let malformed = |message: &str| SourceError {
        status: Some(answer.status.as_u16()),
        ..SourceError::new(SourceErrorKind::Malformed, message)
    };
    let members = members.ok_or_else(|| match answer.body.as_slice() {
        [] => malformed("the token endpoint sent an empty answer"),
        _ => malformed("the token endpoint sent an answer that is neither a JSON object nor a form"),
    });
    Ok((members?, chosen))
}

/// The members of an answer under their own names.
struct Members {
    members: Map<String, Value>,
    is_json: bool,
}

/// The members of an answer. JSON is accepted under any content type; a form, if the content type says so
/// (GitHub without `Accept`) or if the body looks like one.
fn members(headers: &HeaderMap, body: &[u8]) -> Option<Members> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
    let text = text(&content_type, body);
    if let Ok(members) = serde_json::from_str(&text) {
        return Some(Members { members, is_json: true });
    }
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let looks_like_form = text.starts_with("access_token=") || text.starts_with("error=");
    (is_form || looks_like_form).then(|| {
        let pairs = form_urlencoded::parse(text.trim_end().as_bytes());
        let pairs = pairs.map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())));
        Members { members: pairs.collect(), is_json: false }
    })
}

/// Gives the members of RFC 6749 §5.1 their names, if an endpoint writes them otherwise (`accessToken`). If only
/// one object in the answer has an access token (`data`), its members become those of the answer.
fn use_standard_names(members: &mut Map<String, Value>) {
    const STANDARD: [&str; 4] = ["access_token", "refresh_token", "id_token", "token_type"];
    let key = |members: &Map<String, Value>, name| {
        let plain = names::plain(name);
        members.keys().find(|key| names::plain(key) == plain).cloned()
    };
    if key(members, "access_token").is_none() {
        let has_token = |(name, value): &(&String, &Value)| {
            let members = value.as_object().filter(|_| container::is_container(name));
            members.is_some_and(|members| key(members, "access_token").is_some())
        };
        let mut found = members.iter().filter(has_token).map(|(name, _)| name.clone());
        if let (Some(name), None) = (found.next(), found.next())
            && let Some(Value::Object(inner)) = members.remove(&name)
        {
            for (name, value) in inner {
                members.entry(name).or_insert(value);
            }
        }
    }
    for name in STANDARD {
        if !members.contains_key(name)
            && let Some(value) = key(members, name).and_then(|key| members.remove(&key))
        {
            members.insert(name.to_owned(), value);
        }
    }
}

/// The body as text, without a byte order mark. JSON has to be UTF-8 (RFC 8259 §8.1), and some endpoints
/// send it in the charset of the machine they run on. What cannot be decoded is replaced: it can only be in
/// a text that is shown, because a token is ASCII.
fn text(content_type: &str, body: &[u8]) -> Zeroizing<String> {
    if let Some(text) = utf32::decode(body) {
        return text;
    }
    let (encoding, mark) = match Encoding::for_bom(body) {
        Some(found) => found,
        None => (encoding(content_type, body), 0),
    };
    let (text, _) = encoding.decode_without_bom_handling(&body[mark..]);
    Zeroizing::new(text.into_owned())
}

/// The encoding of a body without a byte order mark: UTF-16 by its zero bytes, else the charset of the
/// content type if the body is not UTF-8.
fn encoding(content_type: &str, body: &[u8]) -> &'static Encoding {
    match body {
        [0, first, ..] if *first != 0 => return UTF_16BE,
        [first, 0, ..] if *first != 0 => return UTF_16LE,
        _ => {}
    }
    let charset = content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (name.trim() == "charset").then(|| value.trim().trim_matches('"'))
    });
    let stated = charset.and_then(|label| Encoding::for_label(label.as_bytes()));
    let is_utf8 = std::str::from_utf8(body).is_ok();
    // An encoding with escape sequences is made of ASCII, which is UTF-8 too.
    stated.filter(|stated| !is_utf8 || !stated.is_ascii_compatible()).unwrap_or(UTF_8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(content_type: &str, body: &[u8], name: &str) -> Option<String> {
        let members = parse_object(&RawResponse::for_test(200, &[("content-type", content_type)], body));
        members.ok()?.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    #[test]
    fn answer_is_read_in_any_charset() {
        let json = "{\"access_token\":\"abc\",\"scope\":\"é\"}";
        let little_endian: Vec<u8> = json.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big_endian: Vec<u8> = json.encode_utf16().flat_map(u16::to_be_bytes).collect();
        let utf32 = |bytes: fn(u32) -> [u8; 4]| -> Vec<u8> {
            json.chars().flat_map(|character| bytes(u32::from(character))).collect()
        };
        let latin: Vec<u8> = json.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        let shift_jis = [&b"{\"access_token\":\"abc\",\"scope\":\"\x83\x5c\"}"[..]].concat();
        for (content_type, body, scope) in [
            ("application/json", json.as_bytes().to_vec(), "é"),
            ("application/json; charset=UTF-8", json.as_bytes().to_vec(), "é"),
            ("application/json; charset=ISO-8859-1", latin.clone(), "é"),
            ("application/json;Charset=\"Windows-1252\"", latin.clone(), "é"),
            ("application/json; charset=iso-8859-1", json.as_bytes().to_vec(), "é"),
            ("application/json", latin, "\u{fffd}"),
            ("application/json; charset=utf-16", little_endian.clone(), "é"),
            ("application/json; charset=utf-16", big_endian.clone(), "é"),
            ("application/json", [&b"\xff\xfe"[..], &little_endian].concat(), "é"),
            ("application/json", [&b"\xfe\xff"[..], &big_endian].concat(), "é"),
            ("application/json; charset=utf-32", utf32(u32::to_le_bytes), "é"),
            ("application/json; charset=utf-32be", utf32(u32::to_be_bytes), "é"),
            ("application/json", [&b"\xff\xfe\0\0"[..], &utf32(u32::to_le_bytes)].concat(), "é"),
            ("application/json", [&b"\0\0\xfe\xff"[..], &utf32(u32::to_be_bytes)].concat(), "é"),
            ("application/json; charset=utf-8", [&b"\xef\xbb\xbf"[..], json.as_bytes()].concat(), "é"),
            ("application/json; charset=Shift_JIS", shift_jis, "ソ"),
            ("application/json; charset=nonsense", json.as_bytes().to_vec(), "é"),
        ] {
            assert_eq!(member(content_type, &body, "access_token").as_deref(), Some("abc"), "{content_type}");
            assert_eq!(member(content_type, &body, "scope").as_deref(), Some(scope), "{content_type}");
        }
    }

    #[test]
    fn token_is_found_under_other_names() {
        let token = |body: &str| member("application/json", body.as_bytes(), "access_token");
        for body in [
            r#"{"accessToken":"abc"}"#,
            r#"{"AccessToken":"abc"}"#,
            r#"{"data":{"access_token":"abc","expires_in":60},"message":"success"}"#,
            r#"{"code":0,"result":{"accessToken":"abc"}}"#,
        ] {
            assert_eq!(token(body).as_deref(), Some("abc"), "{body}");
        }
        for body in [
            r#"{"data":{"access_token":"abc"},"result":{"access_token":"def"}}"#,
            r#"{"user":{"access_token":"abc"}}"#,
            r#"{"data":[{"access_token":"abc"}]}"#,
        ] {
            assert_eq!(token(body), None, "{body}");
        }
        let both = r#"{"access_token":"abc","accessToken":"def","data":{"access_token":"ghi"}}"#;
        assert_eq!(token(both).as_deref(), Some("abc"));
        let kind = r#"{"data":{"accessToken":"abc","tokenType":"mac"}}"#;
        assert_eq!(member("", kind.as_bytes(), "token_type").as_deref(), Some("mac"));
    }

    #[test]
    fn answer_is_a_form_if_it_says_so_or_looks_like_one() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        assert_eq!(member(form, b"x=1&access_token=a%2Bc\r\n", "access_token").as_deref(), Some("a+c"));
        assert_eq!(member("text/plain", b"access_token=abc&x=1", "x").as_deref(), Some("1"));
        assert_eq!(member("text/html", b"<html>access_token=abc", "access_token"), None);
    }
}
