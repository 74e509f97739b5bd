//! The challenge of an upstream (RFC 7616 §3.3): which of several is answered, and which is not.

use httparse::Header;

use super::hash::{Algorithm, Hash};
use crate::proto::challenge;
use crate::proto::challenge::Challenge;

/// The limit on a value of a challenge that is sent back, in bytes. Nonces of known servers have a tenth of it.
const MAX_VALUE: usize = 2048;
/// The limit on the paths of `domain`.
const MAX_PATHS: usize = 32;

/// A challenge that can be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DigestChallenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) algorithm: Algorithm,
    /// Whether the challenge names the algorithm.
    pub(super) has_algorithm: bool,
    /// Whether it has `qop`; without it the answer is that of RFC 2069.
    pub(super) has_qop: bool,
    /// Whether the user name is sent as a hash.
    pub(super) is_userhash: bool,
    /// Whether the server reads user names as UTF-8.
    pub(super) is_utf8: bool,
    /// The paths that it is for, as prefixes; empty: the whole server.
    pub(super) paths: Vec<String>,
    /// Whether only the nonce of the request was too old.
    pub(super) is_stale: bool,
}

/// What is accepted of an upstream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential::kinds) struct Policy {
    /// The one realm that is answered; `None`: each.
    pub(in crate::credential::kinds) realm: Option<String>,
    /// The hash functions that may be used.
    pub(in crate::credential::kinds) hashes: Vec<Hash>,
}

/// Why a response has no challenge that can be answered. A later one says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[repr(u8)]
pub(super) enum Unanswerable {
    #[error("the upstream asks for another scheme than Digest")]
    NoDigest = 1,
    #[error("the challenge is malformed, or larger than is accepted")]
    Malformed,
    #[error("the algorithm is not supported")]
    Algorithm,
    #[error("the algorithm is not in `algorithms`")]
    HashNotAllowed,
    #[error("the upstream asks for `qop=auth-int`, a hash over bodies, and not for `qop=auth`")]
    Integrity,
    #[error("the realm is not the one of `realm`")]
    Realm,
}

/// The strongest challenge of a response that can be answered; of equal ones the first.
pub(super) fn strongest(fields: &[Header<'_>], policy: &Policy) -> Result<DigestChallenge, Unanswerable> {
    let mut best: Result<DigestChallenge, Unanswerable> = Err(Unanswerable::NoDigest);
    for challenge in challenge::challenges(fields) {
        if !challenge.scheme.eq_ignore_ascii_case("digest") {
            continue;
        }
        best = match (best, read(&challenge, policy)) {
            (Ok(best), Ok(read)) if read.algorithm.hash > best.algorithm.hash => Ok(read),
            (Ok(best), _) => Ok(best),
            (Err(_), Ok(read)) => Ok(read),
            (Err(best), Err(why)) => Err(best.max(why)),
        };
    }
    best
}

fn read(challenge: &Challenge, policy: &Policy) -> Result<DigestChallenge, Unanswerable> {
    let text = |name| match challenge.parameter(name) {
        Some(value) if !is_sent_back(value) => Err(Unanswerable::Malformed),
        value => Ok(value.map(str::to_owned)),
    };
    let realm = text("realm")?.ok_or(Unanswerable::Malformed)?;
    if policy.realm.as_ref().is_some_and(|only| *only != realm) {
        return Err(Unanswerable::Realm);
    }
    let nonce = text("nonce")?.filter(|nonce| !nonce.is_empty()).ok_or(Unanswerable::Malformed)?;
    let named = challenge.parameter("algorithm");
    let algorithm = Algorithm::named(named).ok_or(Unanswerable::Algorithm)?;
    if !policy.hashes.contains(&algorithm.hash) {
        return Err(Unanswerable::HashNotAllowed);
    }
    let qop = challenge.parameter("qop");
    if qop.is_some_and(|qop| !qop.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth"))) {
        return Err(Unanswerable::Integrity);
    }
    let is = |name, expected: &str| {
        challenge.parameter(name).is_some_and(|value| value.eq_ignore_ascii_case(expected))
    };
    Ok(DigestChallenge {
        realm,
        nonce,
        opaque: text("opaque")?,
        algorithm,
        has_algorithm: named.is_some(),
        has_qop: qop.is_some(),
        is_userhash: is("userhash", "true"),
        is_utf8: is("charset", "utf-8"),
        paths: paths(challenge.parameter("domain").unwrap_or_default()),
        is_stale: is("stale", "true"),
    })
}

/// Whether a value can be sent back. The replacement character stands for bytes that are no UTF-8, so that the
/// text is not the one that the server compares with.
pub(super) fn is_sent_back(value: &str) -> bool {
    let is_text = |character: char| !character.is_control() && character != char::REPLACEMENT_CHARACTER;
    value.len() <= MAX_VALUE && value.chars().all(is_text)
}

/// The paths of `domain`. URLs of other servers are left out: a challenge is for the server that sent it.
fn paths(domain: &str) -> Vec<String> {
    let paths = domain.split_ascii_whitespace().filter(|uri| uri.starts_with('/') && !uri.starts_with("//"));
    let paths: Vec<_> = paths.map(str::to_owned).collect();
    // If there are too many, or others as well, the challenge is for the whole server, as without `domain`.
    if paths.len() > MAX_PATHS || paths.len() < domain.split_ascii_whitespace().count() {
        return Vec::new();
    }
    paths
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in crate::credential::kinds::digest) fn policy() -> Policy {
        Policy { realm: None, hashes: vec![Hash::Md5, Hash::Sha256, Hash::Sha512_256] }
    }

    pub(in crate::credential::kinds::digest) fn challenge(text: &str) -> DigestChallenge {
        of(&[text], &policy()).unwrap()
    }

    fn of(values: &[&str], policy: &Policy) -> Result<DigestChallenge, Unanswerable> {
        let field = |value: &&'static str| Header { name: "WWW-Authenticate", value: value.as_bytes() };
        let values: Vec<&'static str> =
            values.iter().map(|value| &*Box::leak((*value).to_owned().into_boxed_str())).collect();
        strongest(&values.iter().map(field).collect::<Vec<_>>(), policy)
    }

    #[test]
    fn strongest_of_several_challenges_is_answered() {
        let md5 = "Digest realm=\"a\", nonce=\"1\", qop=\"auth\"";
        let sha = "Digest realm=\"a\", nonce=\"2\", qop=\"auth, auth-int\", algorithm=SHA-256";
        let truncated = "digest realm=\"a\",nonce=\"3\",qop=auth,algorithm=SHA-512-256-sess";
        let chosen = |values: &[&str]| of(values, &policy()).unwrap().nonce;
        assert_eq!(chosen(&[md5, sha, truncated]), "3");
        assert_eq!(chosen(&[truncated, md5]), "3");
        assert_eq!(chosen(&[&format!("Basic realm=\"x\", {md5}, {sha}")]), "2");
        let unknown = "Digest realm=\"a\", nonce=\"4\", qop=\"auth\", algorithm=SHA-3";
        assert_eq!(chosen(&[unknown, md5]), "1");
        let weak = Policy { hashes: vec![Hash::Md5], ..policy() };
        assert_eq!(of(&[sha, md5], &weak).unwrap().nonce, "1");
    }

    #[test]
    fn challenge_that_cannot_be_answered_has_a_reason() {
        let only = Policy { realm: Some("mine".into()), ..policy() };
        let strong = Policy { hashes: vec![Hash::Sha256], ..policy() };
        let long = format!("Digest realm=\"a\", nonce=\"{}\"", "n".repeat(MAX_VALUE + 1));
        for (value, policy, why) in [
            ("Basic realm=\"a\"", &policy(), Unanswerable::NoDigest),
            ("Digest realm=\"a\", qop=auth", &policy(), Unanswerable::Malformed),
            ("Digest nonce=\"a\"", &policy(), Unanswerable::Malformed),
            ("Digest realm=\"a\", nonce=\"\"", &policy(), Unanswerable::Malformed),
            ("Digest realm=\"a\u{fffd}\", nonce=\"1\"", &policy(), Unanswerable::Malformed),
            (&long, &policy(), Unanswerable::Malformed),
            ("Digest realm=\"a\", nonce=\"1\", algorithm=token", &policy(), Unanswerable::Algorithm),
            ("Digest realm=\"a\", nonce=\"1\"", &strong, Unanswerable::HashNotAllowed),
            ("Digest realm=\"a\", nonce=\"1\", qop=\"auth-int\"", &policy(), Unanswerable::Integrity),
            ("Digest realm=\"a\", nonce=\"1\", qop=\"\"", &policy(), Unanswerable::Integrity),
            ("Digest realm=\"Mine\", nonce=\"1\"", &only, Unanswerable::Realm),
        ] {
            assert_eq!(of(&[value], policy), Err(why), "{value}");
        }
        assert!(of(&["Digest realm=\"mine\", nonce=\"1\""], &only).is_ok());
    }

    #[test]
    fn domain_of_the_same_server_limits_the_challenge() {
        let paths =
            |domain: &str| challenge(&format!("Digest realm=\"a\", nonce=\"1\", domain=\"{domain}\"")).paths;
        assert_eq!(paths("/api /files"), ["/api", "/files"]);
        assert!(paths("").is_empty());
        assert!(paths("/api https://other.example/").is_empty(), "an absolute URL may be this server's");
        assert!(paths("//other.example/x").is_empty());
        assert!(paths(&"/a ".repeat(MAX_PATHS + 1)).is_empty());
    }

    proptest! {
        #[test]
        fn any_challenge_is_bounded_and_has_no_control(value in "(Digest )?([a-z]{1,8}=\"?.{0,30}\"?,? ?){0,6}") {
            if let Ok(challenge) = of(&[&value], &policy()) {
                for text in [&challenge.realm, &challenge.nonce] {
                    prop_assert!(text.len() <= MAX_VALUE && !text.chars().any(char::is_control));
                }
            }
        }
    }
}
