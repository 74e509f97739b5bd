//! The hash functions of Digest (RFC 7616 §3.2), and their names.

use md5::{Digest, Md5};
use ring::digest;

use crate::secret::hex;

/// A hash function. A later one is stronger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::credential::kinds) enum Hash {
    Md5,
    Sha256,
    Sha512_256,
}

/// The hash functions by their names in challenges, as the configuration writes them.
pub(in crate::credential::kinds) const HASHES: [(&str, Hash); 3] =
    [("md5", Hash::Md5), ("sha-256", Hash::Sha256), ("sha-512-256", Hash::Sha512_256)];

impl Hash {
    /// Hashes texts that are joined by colons; the result is hexadecimal, as Digest uses it everywhere.
    pub(super) fn of(self, texts: &[&[u8]]) -> String {
        let with = |update: &mut dyn FnMut(&[u8])| {
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    update(b":");
                }
                update(text);
            }
        };
        let algorithm = match self {
            Self::Md5 => {
                let mut context = Md5::new();
                with(&mut |bytes| context.update(bytes));
                return hex(&context.finalize());
            }
            Self::Sha256 => &digest::SHA256,
            Self::Sha512_256 => &digest::SHA512_256,
        };
        let mut context = digest::Context::new(algorithm);
        with(&mut |bytes| context.update(bytes));
        hex(context.finish().as_ref())
    }
}

/// The value of `algorithm`: a hash function, with or without a key for each session (`-sess`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Algorithm {
    pub(super) hash: Hash,
    pub(super) is_session: bool,
    /// The value as it is sent.
    pub(super) name: &'static str,
}

const ALGORITHMS: [Algorithm; 6] = [
    Algorithm { hash: Hash::Md5, is_session: false, name: "MD5" },
    Algorithm { hash: Hash::Md5, is_session: true, name: "MD5-sess" },
    Algorithm { hash: Hash::Sha256, is_session: false, name: "SHA-256" },
    Algorithm { hash: Hash::Sha256, is_session: true, name: "SHA-256-sess" },
    Algorithm { hash: Hash::Sha512_256, is_session: false, name: "SHA-512-256" },
    Algorithm { hash: Hash::Sha512_256, is_session: true, name: "SHA-512-256-sess" },
];

impl Algorithm {
    /// The algorithm of this name; MD5 if the challenge names none.
    pub(super) fn named(name: Option<&str>) -> Option<Self> {
        let name = name.unwrap_or("MD5");
        ALGORITHMS.into_iter().find(|algorithm| algorithm.name.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_nothing_are_the_published_ones() {
        for (hash, expected) in [
            (Hash::Md5, "d41d8cd98f00b204e9800998ecf8427e"),
            (Hash::Sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (Hash::Sha512_256, "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a"),
        ] {
            assert_eq!(hash.of(&[b""]), expected);
        }
        assert_eq!(Hash::Md5.of(&[b"a", b"b"]), Hash::Md5.of(&[b"a:b"]));
    }

    #[test]
    fn algorithm_is_found_in_any_case() {
        assert_eq!(Algorithm::named(None).unwrap().name, "MD5");
        assert_eq!(Algorithm::named(Some("sha-512-256-SESS")).unwrap().name, "SHA-512-256-sess");
        assert_eq!(Algorithm::named(Some("SHA-512")), None);
    }
}
