//! Reads a secret: by the API of the version of the key-value engine that its path has, or of another engine.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::answer;
use super::answer::{MountAnswer, ReadAnswer, Versioned};
use super::connection::{Call, VaultConnection};
use super::lease::VaultLease;
use super::paths::{Mount, SecretPath};
use super::settings::VaultSettings;
use crate::credential::stores::stored_secret::SecretStore;
use crate::secret::{Fetched, Lease, SecretText, SourceError};

/// What to look at if a path may not be read, or does not exist.
const DENIED: &str = "; a policy of the login must allow `read` of this path, with `data/` behind the mount if its engine is key-value \
    of version 2 (`secret/data/…`). The answer is the same for a mount that does not exist, and for a token that has ended";

impl SecretStore for VaultConnection {
    type Id = SecretPath;
    type Settings = VaultSettings;
    const SOURCE: &'static str = "vault";
    const PLACE: &'static str = "the secret in Vault";

    fn settings(&self) -> &VaultSettings {
        &self.settings
    }

    fn who(&self) -> &str {
        self.server.who()
    }

    /// Reads the JSON object of its fields, and its lease if it has one.
    fn read(self: &Arc<Self>, of: &SecretPath) -> Result<Fetched, SourceError> {
        let mount = self.mount_of(&of.path)?;
        let path = mount.as_ref().map_or_else(|| of.path.clone(), |mount| mount.api_path(&of.path));
        let query = of.version.map(|version| format!("version={version}"));
        let asked = Instant::now();
        let call = Call { query: query.as_deref(), ..Call::get(&path) };
        let (answer, session) = self.call(&call)?;
        if answer.status != 200 {
            self.mounts.lock().forget(&of.path);
            let advice = match answer.status {
                403 => DENIED,
                404 if is_deleted(&answer.body) => "; this version of the secret is deleted",
                404 => "; there is no secret at this path",
                405 => "; this path is not one that is read",
                _ => "",
            };
            return Err(self.error(&answer, &session, advice));
        }
        let malformed = |what: &str| answer::malformed(self.who(), what);
        let read: ReadAnswer<'_> =
            serde_json::from_slice(&answer.body).map_err(|_| malformed("is not one of Vault"))?;
        let data = read.data.ok_or_else(|| malformed("has no `data`"))?.get();
        let is_versioned = mount.is_none_or(|mount| mount.is_versioned);
        let fields = match serde_json::from_str::<Versioned<'_>>(data) {
            Ok(versioned) if is_versioned && versioned.metadata.version > 0 => {
                versioned.data.map(RawValue::get).filter(|data| *data != "null")
            }
            _ if of.version.is_some() => {
                return Err(malformed("has no versions: `version` is for the key-value engine of version 2"));
            }
            _ => Some(data),
        };
        let fields = fields.ok_or_else(|| {
            SourceError::new(format!("{}: this version of the secret is deleted", self.who()))
        })?;
        let value = SecretText::verbatim(Zeroizing::new(fields.to_owned()));
        if read.lease_id.is_empty() {
            return Ok(Fetched::lasting(value));
        }
        let duration = Duration::from_secs(read.lease_duration);
        let lease = VaultLease::new(self.clone(), &read, session.generation, asked + duration);
        let valid = session.remaining().map_or(duration, |token| token.min(duration));
        let lease: Box<dyn Lease> = Box::new(lease);
        Ok(Fetched { value, expires_at: Some(SystemTime::now() + valid), lease: Some(lease) })
    }
}

impl VaultConnection {
    /// Where a path is mounted; `None` if the store does not say it.
    fn mount_of(&self, path: &str) -> Result<Option<Mount>, SourceError> {
        if let Some(mount) = self.mounts.lock().of(path) {
            return Ok(Some(mount));
        }
        let of_path = format!("sys/internal/ui/mounts/{path}");
        let (answer, _) = self.call(&Call::get(&of_path))?;
        let found = (answer.status == 200).then(|| serde_json::from_slice::<MountAnswer>(&answer.body));
        let Some(Ok(MountAnswer { data: facts })) = found else { return Ok(None) };
        let version = facts.options.and_then(|options| options.version);
        let is_versioned = matches!(facts.kind.as_str(), "kv" | "generic") && version.as_deref() == Some("2");
        let mount = Mount { path: format!("{}/", facts.path.trim_matches('/')), is_versioned };
        if !path.starts_with(&mount.path) {
            return Ok(None);
        }
        self.mounts.lock().add(mount.clone());
        Ok(Some(mount))
    }
}

/// Whether an answer is that of a version that is deleted or destroyed.
fn is_deleted(body: &[u8]) -> bool {
    let read = serde_json::from_slice::<ReadAnswer<'_>>(body).ok();
    read.and_then(|read| read.data)
        .is_some_and(|data| serde_json::from_str::<Versioned<'_>>(data.get()).is_ok())
}
