//! The answer to a challenge: `Authorization` of one request (RFC 7616 §3.4).

use http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use zeroize::Zeroizing;

use super::challenge::DigestChallenge;
use crate::config::Username;
use crate::secret::Secret;

/// What is encoded in `username*` (`attr-char`, RFC 8187 §3.2.1).
const EXTENDED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'!')
    .remove(b'#')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b'-')
    .remove(b'.')
    .remove(b'^')
    .remove(b'_')
    .remove(b'`')
    .remove(b'|')
    .remove(b'~');

/// Who answers challenges.
pub(super) struct User {
    pub(super) name: Username,
    pub(super) password: Option<Secret>,
}

impl User {
    fn name(&self) -> &str {
        match &self.name {
            Username::Text(text) => text,
            Username::Secret(secret) => secret.expose(),
        }
    }

    /// H(A1), which is the same for all answers with one nonce (RFC 7616 §3.4.2).
    pub(super) fn key(&self, challenge: &DigestChallenge, cnonce: &str) -> Zeroizing<String> {
        let hash = challenge.algorithm.hash;
        let password = self.password.as_ref().map_or("", Secret::expose);
        let parts = [self.name(), &challenge.realm, password].map(str::as_bytes);
        let key = Zeroizing::new(hash.of(&parts));
        if !challenge.algorithm.is_session {
            return key;
        }
        Zeroizing::new(hash.of(&[key.as_bytes(), challenge.nonce.as_bytes(), cnonce.as_bytes()]))
    }

    /// The parameters of the user name, which are the same for all answers with one challenge.
    fn append_name(&self, out: &mut Vec<u8>, challenge: &DigestChallenge) {
        let name = self.name();
        if challenge.is_userhash {
            let hash = challenge.algorithm.hash.of(&[name.as_bytes(), challenge.realm.as_bytes()]);
            append(out, &[b"userhash=true, username=\"", hash.as_bytes(), b"\""]);
        } else if challenge.is_utf8 && !name.is_ascii() {
            let encoded = percent_encode(name.as_bytes(), EXTENDED).to_string();
            append(out, &[b"username*=UTF-8''", encoded.as_bytes()]);
        } else {
            append_quoted(out, "username", name);
        }
    }
}

/// One answer.
pub(super) struct Answer<'a> {
    pub(super) challenge: &'a DigestChallenge,
    /// H(A1), of the same challenge.
    pub(super) key: &'a str,
    pub(super) cnonce: &'a str,
    /// How many answers there were with this nonce, this one included.
    pub(super) count: u32,
    pub(super) method: &'a str,
    /// The request target, as it is sent.
    pub(super) target: &'a str,
}

impl Answer<'_> {
    /// The value of `response`.
    fn response(&self, count: &str) -> String {
        let DigestChallenge { algorithm, nonce, has_qop, .. } = self.challenge;
        let request = algorithm.hash.of(&[self.method.as_bytes(), self.target.as_bytes()]);
        let parts: &[&str] = if *has_qop {
            &[self.key, nonce, count, self.cnonce, "auth", &request]
        } else {
            &[self.key, nonce, &request]
        };
        let parts: smallvec::SmallVec<[&[u8]; 6]> = parts.iter().map(|part| part.as_bytes()).collect();
        algorithm.hash.of(&parts)
    }

    /// The value of `Authorization`; `None` if it would not be one.
    pub(super) fn authorization(&self, user: &User) -> Option<HeaderValue> {
        let challenge = self.challenge;
        let count = format!("{:08x}", self.count);
        let mut out = Vec::with_capacity(512);
        out.extend_from_slice(b"Digest ");
        user.append_name(&mut out, challenge);
        for (name, value) in [("realm", &*challenge.realm), ("nonce", &challenge.nonce), ("uri", self.target)]
        {
            out.extend_from_slice(b", ");
            append_quoted(&mut out, name, value);
        }
        append(&mut out, &[b", response=\"", self.response(&count).as_bytes(), b"\""]);
        if challenge.has_algorithm {
            append(&mut out, &[b", algorithm=", challenge.algorithm.name.as_bytes()]);
        }
        if let Some(opaque) = &challenge.opaque {
            out.extend_from_slice(b", ");
            append_quoted(&mut out, "opaque", opaque);
        }
        if challenge.has_qop || challenge.algorithm.is_session {
            append(&mut out, &[b", cnonce=\"", self.cnonce.as_bytes(), b"\""]);
        }
        if challenge.has_qop {
            append(&mut out, &[b", qop=auth, nc=", count.as_bytes()]);
        }
        let mut value = HeaderValue::from_bytes(&out).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

fn append(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Appends a parameter whose value is a quoted string (RFC 9110 §5.6.4).
fn append_quoted(out: &mut Vec<u8>, name: &str, value: &str) {
    append(out, &[name.as_bytes(), b"=\""]);
    for byte in value.bytes() {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::super::challenge::tests::challenge;
    use super::*;

    fn user(name: &str, password: &str) -> User {
        User { name: Username::Text(name.into()), password: Some(Secret::new(password.into()).unwrap()) }
    }

    fn answered(text: &str, user: &User, cnonce: &str, target: &str) -> String {
        let challenge = challenge(text);
        let key = user.key(&challenge, cnonce);
        let answer = Answer { challenge: &challenge, key: &key, cnonce, count: 1, method: "GET", target };
        let value = answer.authorization(user).unwrap();
        assert!(value.is_sensitive());
        String::from_utf8(value.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn answer_matches_the_examples_of_rfc_7616() {
        // §3.9.1
        let (user, cnonce) =
            (user("Mufasa", "Circle of Life"), "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ");
        for (algorithm, response) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let text = format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            );
            assert_eq!(
                answered(&text, &user, cnonce, "/dir/index.html"),
                format!(
                    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                     nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", \
                     response=\"{response}\", algorithm={algorithm}, \
                     opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", \
                     cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, nc=00000001"
                )
            );
        }
    }

    #[test]
    fn answer_with_userhash_matches_the_corrected_example() {
        // §3.9.2 with erratum 4897: the printed hashes are a cut SHA-512, and not SHA-512/256 (FIPS 180-4 §5.3.6).
        let text = "Digest realm=\"api@example.org\", qop=\"auth\", algorithm=SHA-512-256, \
                    nonce=\"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK\", \
                    opaque=\"HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS\", charset=UTF-8, userhash=true";
        let user = user("J\u{e4}s\u{f8}n Doe", "Secret, or not?");
        let value = answered(text, &user, "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "/doe.json");
        let hash = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b";
        assert!(value.starts_with(&format!("Digest userhash=true, username=\"{hash}\", ")), "{value}");
        let response = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5";
        assert!(value.contains(&format!("response=\"{response}\"")), "{value}");
    }

    #[test]
    fn user_name_beyond_ascii_is_encoded_as_the_server_reads_it() {
        let user = user("J\u{e4}s\u{f8}n \"D\\oe", "x");
        let value = answered("Digest realm=\"a\", nonce=\"1\", charset=utf-8", &user, "c", "/");
        assert!(value.starts_with("Digest username*=UTF-8''J%C3%A4s%C3%B8n%20%22D%5Coe, "), "{value}");
        let value = answered("Digest realm=\"a \\\"b\", nonce=\"1\"", &user, "c", "/?a=\"");
        assert!(value.starts_with("Digest username=\"J\u{e4}s\u{f8}n \\\"D\\\\oe\", realm=\"a \\\"b\""));
        assert!(value.contains("uri=\"/?a=\\\"\""), "{value}");
    }

    #[test]
    fn answer_without_qop_is_that_of_rfc_2069() {
        // RFC 2069 §2.4 with the corrected response (erratum 749).
        let text = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
                    opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
        let value = answered(text, &user("Mufasa", "CircleOfLife"), "c", "/dir/index.html");
        assert!(value.contains("response=\"1949323746fe6a43ef61f9606e7febea\""), "{value}");
        assert!(!value.contains("nc=") && !value.contains("cnonce") && !value.contains("algorithm"));
    }

    #[test]
    fn session_key_depends_on_both_nonces() {
        let user = user("Mufasa", "Circle of Life");
        let session = challenge("Digest realm=\"a\", nonce=\"1\", qop=auth, algorithm=MD5-sess");
        let plain = challenge("Digest realm=\"a\", nonce=\"1\", qop=auth, algorithm=MD5");
        // printf %s "$(printf %s 'Mufasa:a:Circle of Life' | md5sum | cut -d' ' -f1):1:c" | md5sum
        assert_eq!(
            *user.key(&session, "c"),
            session.algorithm.hash.of(&[user.key(&plain, "c").as_bytes(), b"1", b"c"])
        );
        assert_ne!(user.key(&session, "c"), user.key(&session, "d"));
        assert_eq!(user.key(&plain, "c"), user.key(&plain, "d"));
    }
}
