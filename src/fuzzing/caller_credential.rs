//! The property of what a request presents to be known by: two readers find the same credential or none, only the caller's own
//! key makes it that caller, and the credential is not sent to the upstream.
//!
//! An input is fields, one a line: `Authorization: Bearer CALLER-KEY`.

use httparse::Header;

use super::plain_head::{PlainHead, is_token};
use super::services;
use crate::callers::fuzzing::credential;
use crate::config::ServiceConfig;
use crate::proxy::ConnectionContext;
use crate::proxy::fuzzing::upstream_head;

/// The key of the only caller. Its hash is in the configuration below.
const KEY: &[u8] = b"CALLER-KEY";
const CALLERS: &str = "callers: { app: { bearer: { sha256: 930c4fd8c2d1c34459e5adf79823bfde365b19f805cf86a52c4742a812c07f8b } } }
roles: { all: { callers: app, services: [bearer, header, query, cookie] } }
";
/// Longest credential, in bytes.
const MAX_BYTES: usize = 16 * 1024;

thread_local! {
    static CONNECTIONS: Vec<(ServiceConfig, ConnectionContext)> = services::connections_with(CALLERS);
}

/// Checks the property on fields.
pub fn caller_credential(input: &[u8]) {
    let Some(fields) = fields(input) else { return };
    let found = credential(&fields, None);
    let expected = presented(&fields);
    match (&found, &expected) {
        (Ok(found), Ok(expected)) => assert_eq!(found, expected, "another credential"),
        (Err(_), Err(())) => {}
        _ => panic!("one reader finds {found:?}, the other one {expected:?}"),
    }
    // Inside of a `CONNECT` its credential counts, unless the request presents one to the proxy.
    let within = credential(&fields, Some(KEY));
    if fields.iter().any(|field| is(field, "proxy-authorization") && !field.value.trim_ascii().is_empty()) {
        assert_eq!(within.is_err(), found.is_err());
    } else if let Ok(within) = within {
        assert_eq!(within.as_deref(), Some(KEY));
    }
    let mut head = b"GET /x HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    for field in &fields {
        head.extend([field.name.as_bytes(), b": ", field.value, b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    CONNECTIONS.with(|connections| {
        for (service, context) in connections {
            let sent = upstream_head(context, &head);
            assert!(sent.is_none() || expected == Ok(Some(KEY.to_vec())), "a caller that is not known");
            if let Some(sent) = sent {
                assert_is_taken_off(&fields, service, &PlainHead::read(&sent));
            }
        }
    });
}

/// The fields of an input; `None` if a request with them would have another meaning to HTTP/1.1 as well.
fn fields(input: &[u8]) -> Option<Vec<Header<'_>>> {
    let field = |line| {
        let line: &[u8] = line;
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let is_clean = !value.iter().any(u8::is_ascii_control);
        let name = std::str::from_utf8(name).ok().filter(|name| is_token(name.as_bytes()))?;
        is_clean.then_some(Header { name, value })
    };
    let fields: Option<Vec<_>> = input.split(|byte| *byte == b'\n').map(field).collect();
    fields.filter(|fields| fields.len() <= 16)
}

fn is(field: &Header<'_>, name: &str) -> bool {
    field.name.to_ascii_lowercase() == name
}

/// A second reader of what a request presents, as plain as RFC 9110 §11 and RFC 7617 allow.
fn presented(fields: &[Header<'_>]) -> Result<Option<Vec<u8>>, ()> {
    for name in ["proxy-authorization", "authorization"] {
        let values: Vec<_> =
            fields.iter().filter(|field| is(field, name)).map(|field| field.value.trim_ascii()).collect();
        let value = match values[..] {
            [] | [b""] => continue,
            [value] => value,
            _ => return Err(()),
        };
        let credential = read(value)?;
        if credential.is_none() && name == "proxy-authorization" {
            return Err(());
        }
        return Ok(credential);
    }
    Ok(None)
}

fn read(value: &[u8]) -> Result<Option<Vec<u8>>, ()> {
    let scheme: Vec<u8> = value.iter().copied().take_while(|byte| *byte != b' ').collect();
    let rest = value[scheme.len()..].trim_ascii();
    let credential = match &*scheme.to_ascii_lowercase() {
        b"bearer" if rest.contains(&b',') => return Err(()),
        b"bearer" => rest.to_vec(),
        b"basic" => {
            let pair = base64(rest).ok_or(())?;
            let mut parts = pair.splitn(2, |byte| *byte == b':');
            parts.next();
            parts.next().ok_or(())?.to_vec()
        }
        _ => return Ok(None),
    };
    let is_visible = credential.iter().all(|byte| (0x21..0x7f).contains(byte));
    if is_visible && !credential.is_empty() && credential.len() <= MAX_BYTES {
        Ok(Some(credential))
    } else {
        Err(())
    }
}

/// Base64 with all of its padding or none (RFC 4648 §4), one bit after the other.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let end = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
    let (digits, padding) = text.split_at(end);
    let has_padding = !padding.is_empty();
    if padding.iter().any(|byte| *byte != b'=')
        || has_padding && (!text.len().is_multiple_of(4) || padding.len() > 2)
    {
        return None;
    }
    let mut bits = Vec::new();
    for digit in digits {
        let value = DIGITS.iter().position(|known| known == digit)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let rest = bits.len() % 8;
    if rest == 6 || bits[bits.len() - rest..].contains(&true) {
        return None;
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    Some(bits.chunks_exact(8).map(byte).collect())
}

/// What the caller was known by is not sent to the upstream.
fn assert_is_taken_off(fields: &[Header<'_>], service: &ServiceConfig, sent: &PlainHead<'_>) {
    assert!(!sent.has("proxy-authorization"), "the credential for the proxy is sent");
    let to_proxy = fields.iter().any(|field| is(field, "proxy-authorization") && !field.value.is_empty());
    let own = usize::from(service.name == "bearer");
    if !to_proxy {
        assert_eq!(sent.values("authorization").len(), own, "the credential of the caller is sent");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The property would hold of a program that refuses everything.
    #[test]
    fn caller_with_its_key_is_served() {
        let head = b"GET /x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer CALLER-KEY\r\n\r\n";
        let served =
            |(_, context): &(ServiceConfig, ConnectionContext)| upstream_head(context, head).is_some();
        assert!(CONNECTIONS.with(|connections| connections.iter().all(served)));
    }

    #[test]
    fn second_reader_of_base64_accepts_one_spelling_only() {
        for (text, expected) in [("eDprZXk=", Some("x:key")), ("eDprZXk", Some("x:key")), ("", Some(""))] {
            assert_eq!(base64(text.as_bytes()), expected.map(|text| text.as_bytes().to_vec()), "{text}");
        }
        for text in ["eDprZXl=", "eDprZXk==", "e", "eDpr=", "eDprZX!", "=eDpr"] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }
}
