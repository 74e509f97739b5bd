//! What a request presents: a key, or a token.
//!
//! `Proxy-Authorization` is for a proxy (RFC 9110 §11.7.1), and so it is read first. An app that knows of no proxy sends its key in
//! `Authorization`, where it would send the key of the API. If the first is there, the second is what the app means for the API, and
//! is not read. Neither is ever passed on.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use httparse::Header;
use zeroize::Zeroizing;

use super::refusal::Refusal;
use crate::proto::fields::HeaderClass;

/// Longest credential, in bytes: a token with many claims is shorter.
const MAX_BYTES: usize = 16 * 1024;

/// A key or a token that a request presents.
pub enum Presented<'a> {
    /// As it is in the field.
    Field(&'a [u8]),
    /// The password of `Basic`.
    Password(Zeroizing<Vec<u8>>),
}

impl Presented<'_> {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Field(bytes) => bytes,
            Self::Password(bytes) => bytes,
        }
    }
}

/// Whether a field may present a credential.
pub fn is_credential_field(name: &str) -> bool {
    is_own(name) || is_for_proxy(name)
}

fn is_own(name: &str) -> bool {
    HeaderClass::of(name) == HeaderClass::Authorization
}

fn is_for_proxy(name: &str) -> bool {
    name.len() == 19 && name.eq_ignore_ascii_case("proxy-authorization")
}

/// The credential of a request. `of_connect` is that of the `CONNECT` that it came through.
pub(super) fn of<'a>(
    fields: &'a [Header<'a>],
    of_connect: Option<&'a [u8]>,
) -> Result<Option<Presented<'a>>, Refusal> {
    if let Some(value) = only(fields, is_for_proxy)? {
        // Any scheme is meant for Sidekey here.
        return parse(value)?.map(Some).ok_or(Refusal::MalformedCredential);
    }
    if let Some(credential) = of_connect {
        return Ok(Some(Presented::Field(credential)));
    }
    only(fields, is_own)?.map_or(Ok(None), parse)
}

/// The bearer token in `Authorization`; `None` if there is none, or one of another scheme.
pub(super) fn bearer<'a>(fields: &'a [Header<'a>]) -> Result<Option<Presented<'a>>, Refusal> {
    let Some(value) = only(fields, is_own)? else { return Ok(None) };
    let parsed = parse(value);
    let is_bearer = value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer"));
    if is_bearer { parsed } else { Ok(None) }
}

/// The value of the field, if there is one.
fn only<'a>(fields: &'a [Header<'a>], is_it: fn(&str) -> bool) -> Result<Option<&'a [u8]>, Refusal> {
    let mut found = fields.iter().filter(|field| is_it(field.name)).map(|field| field.value.trim_ascii());
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Refusal::SeveralCredentials),
        (value, None) => Ok(value.filter(|value| !value.is_empty())),
    }
}

/// The credential in a field value; `None` if it is of another scheme.
fn parse(value: &[u8]) -> Result<Option<Presented<'_>>, Refusal> {
    let end = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
    let (scheme, rest) = value.split_at(end);
    let rest = rest.trim_ascii();
    let is_clean =
        |bytes: &[u8]| (1..=MAX_BYTES).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
    if scheme.eq_ignore_ascii_case(b"bearer") {
        // A comma would begin a second credential.
        let is_token = is_clean(rest) && !rest.contains(&b',');
        return if is_token { Ok(Some(Presented::Field(rest))) } else { Err(Refusal::MalformedCredential) };
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        let decode = |bytes: &[u8]| STANDARD.decode(bytes).or_else(|_| STANDARD_NO_PAD.decode(bytes));
        let pair = decode(rest).map(Zeroizing::new).map_err(|_| Refusal::MalformedCredential)?;
        let colon = pair.iter().position(|byte| *byte == b':').ok_or(Refusal::MalformedCredential)?;
        let password = Zeroizing::new(pair[colon + 1..].to_vec());
        return if is_clean(&password) {
            Ok(Some(Presented::Password(password)))
        } else {
            Err(Refusal::MalformedCredential)
        };
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        fields: &[(&'static str, &'static str)],
        of_connect: Option<&'static str>,
    ) -> Result<Option<String>, Refusal> {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect();
        let presented = of(&fields, of_connect.map(str::as_bytes))?;
        Ok(presented.map(|presented| String::from_utf8(presented.bytes().to_vec()).unwrap()))
    }

    #[test]
    fn credential_is_that_for_the_proxy_first() {
        assert_eq!(read(&[("authorization", "bearer  k ")], None), Ok(Some("k".into())));
        assert_eq!(read(&[("AUTHORIZATION", "Basic eDprZXk=")], None), Ok(Some("key".into())), "x:key");
        let both = [("Authorization", "Bearer dummy"), ("Proxy-Authorization", "Bearer key")];
        assert_eq!(read(&both, None), Ok(Some("key".into())));
        assert_eq!(read(&both, Some("connect")), Ok(Some("key".into())));
        assert_eq!(read(&both[..1], Some("connect")), Ok(Some("connect".into())));
        assert_eq!(read(&[("Authorization", "AWS4-HMAC-SHA256 x")], None), Ok(None));
        assert_eq!(read(&[("Authorization", "")], None), Ok(None));
        assert_eq!(read(&[("X-Forwarded-Client-Cert", "URI=spiffe://a/b")], None), Ok(None));
    }

    #[test]
    fn credential_that_two_parties_may_read_differently_is_refused() {
        let twice = [("Authorization", "Bearer a"), ("authorization", "Bearer a")];
        assert_eq!(read(&twice, None), Err(Refusal::SeveralCredentials));
        for value in [
            "Bearer",
            "Bearer ",
            "Bearer a b",
            "Bearer a, Bearer b",
            "Bearer a,b",
            "Basic !",
            "Basic eA==",
            "Basic eDo=",
            "Bearer \u{e4}",
        ] {
            assert_eq!(read(&[("Authorization", value)], None), Err(Refusal::MalformedCredential), "{value}");
        }
        assert_eq!(read(&[("Proxy-Authorization", "Digest x")], None), Err(Refusal::MalformedCredential));
    }
}
