//! What records are sealed with.

use std::hash::Hash;

use zeroize::Zeroizing;

use super::names::Names;
use crate::secret::{SealPurpose, SealingKeys, Secret, Unreadable};

/// The keys of a fleet. The first one seals, all of them open.
pub(super) struct FleetKeys(Vec<SealingKeys>);

impl FleetKeys {
    /// Derives them from the configured secrets, of which there is at least one.
    pub(super) fn derive(secrets: &[Secret]) -> Self {
        Self(secrets.iter().map(|secret| SealingKeys::derive(SealPurpose::Fleet, secret)).collect())
    }

    /// The names of the record of `what`. `kind` keeps apart what might have equal settings.
    pub(super) fn names(&self, kind: &str, what: &impl Hash) -> Names {
        Names::new(self.0.iter().map(|key| key.fingerprint(&(kind, what))))
    }

    /// Seals content for a place. It opens at this place only.
    pub(super) fn seal(&self, place: &Place<'_>, content: &[u8]) -> Vec<u8> {
        self.0[0].seal(&place.bytes(), content)
    }

    /// Opens what was sealed with any of the keys for a place.
    pub(super) fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let bound = place.bytes();
        let mut last = Unreadable::OtherKey;
        for key in &self.0 {
            match key.open(&bound, sealed) {
                Err(Unreadable::OtherKey) => {}
                Err(error) => last = error,
                opened => return opened,
            }
        }
        Err(last)
    }
}

/// Where sealed bytes stand: they are authenticated with it, so that nobody can put them elsewhere.
pub(super) struct Place<'a> {
    /// What they are.
    pub(super) part: &'static str,
    /// The name of the record.
    pub(super) name: &'a str,
    /// The generation, as it stands in the store.
    pub(super) generation: &'a str,
}

impl Place<'_> {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for part in [self.part, self.name, self.generation] {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(secrets: &[&str]) -> FleetKeys {
        let secrets: Vec<_> = secrets.iter().map(|text| Secret::new((*text).into()).unwrap()).collect();
        FleetKeys::derive(&secrets)
    }

    const PLACE: Place<'_> = Place { part: "record", name: "a", generation: "1" };

    #[test]
    fn first_key_seals_and_all_keys_open() {
        let (old, both, new) = (keys(&["old"]), keys(&["new", "old"]), keys(&["new"]));
        let by_old = old.seal(&PLACE, b"x");
        let by_both = both.seal(&PLACE, b"x");
        assert_eq!(**both.open(&PLACE, &by_old).unwrap(), *b"x");
        assert_eq!(**new.open(&PLACE, &by_both).unwrap(), *b"x");
        assert_eq!(old.open(&PLACE, &by_both).unwrap_err(), Unreadable::OtherKey);
        assert_eq!(new.open(&PLACE, &by_old).unwrap_err(), Unreadable::OtherKey);
    }

    #[test]
    fn sealed_bytes_open_at_their_place_only() {
        let keys = keys(&["one"]);
        let sealed = keys.seal(&PLACE, b"x");
        for other in [
            Place { part: "failure", ..PLACE },
            Place { name: "b", ..PLACE },
            Place { generation: "2", ..PLACE },
            Place { name: "a1", generation: "", ..PLACE },
        ] {
            assert_eq!(keys.open(&other, &sealed).unwrap_err(), Unreadable::Damaged);
        }
    }

    #[test]
    fn names_are_shared_by_configurations_with_a_common_key() {
        let of = |secrets: &[&str]| keys(secrets).names("oauth2", &("client", "secret"));
        let (old, both, new) = (of(&["old"]), of(&["new", "old"]), of(&["new"]));
        assert!(both.contains(&old.all()[0]) && both.contains(&new.all()[0]));
        assert_ne!(old, new);
        assert_ne!(keys(&["old"]).names("oauth2", &("client", "other")), old);
        assert_ne!(keys(&["old"]).names("jwt", &("client", "secret")), old);
    }
}
