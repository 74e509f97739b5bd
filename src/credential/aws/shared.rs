//! The keys of a role that a fleet shares: one process requests them, and the others use them.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::credentials::AwsCredentials;
use super::keys::AwsKeys;
use crate::fleet::{Obtained, Requester, TracedValue};
use crate::refresh::{
    Cause, Expiring, Expiry, Risk, Sharing, Source, SourceError, SourceErrorKind, SourceServer,
};
use crate::secret::Secret;

/// A source whose keys are those of the fleet.
pub(super) struct SharedKeys {
    value: TracedValue,
    inner: Requests,
}

/// Makes the requests for keys.
struct Requests(Arc<dyn Source<AwsCredentials>>);

/// What a record has: a key is of no use without each of its three parts.
#[derive(Serialize)]
struct Written<'a> {
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
}

#[derive(Deserialize)]
struct Read {
    access_key_id: Zeroizing<String>,
    secret_access_key: Zeroizing<String>,
    session_token: Zeroizing<String>,
}

impl SharedKeys {
    /// Wraps a source of keys.
    pub(super) fn new(inner: Arc<dyn Source<AwsCredentials>>, value: TracedValue) -> Self {
        Self { value, inner: Requests(inner) }
    }
}

#[async_trait]
impl Source<AwsCredentials> for SharedKeys {
    async fn fetch(&self) -> Result<AwsCredentials, SourceError> {
        self.fetch_for(Cause::Due).await
    }

    async fn fetch_for(&self, cause: Cause) -> Result<AwsCredentials, SourceError> {
        let taken = self.value.obtain(cause, &self.inner).await?;
        read(&taken.content, taken.expiry).ok_or_else(unreadable)
    }

    async fn changed(&self) {
        self.value.shared.changed().await;
    }

    fn server(&self) -> Option<Arc<SourceServer>> {
        self.inner.0.server()
    }

    fn risk(&self) -> Option<Arc<Risk>> {
        self.value.shared.risk()
    }

    fn sharing(&self) -> Option<Arc<Sharing>> {
        Some(self.value.shared.sharing().clone())
    }
}

#[async_trait]
impl Requester for Requests {
    async fn request(&self, _: Option<&[u8]>) -> Result<Obtained, SourceError> {
        let issued = self.0.fetch().await?;
        Ok(Obtained { content: written(&issued.keys), expiry: Some(issued.expiry()), failure: None })
    }
}

fn written(keys: &AwsKeys) -> Zeroizing<Vec<u8>> {
    let written = Written {
        access_key_id: keys.access_key_id.expose(),
        secret_access_key: keys.secret_access_key.expose(),
        session_token: keys.token().unwrap_or_default(),
    };
    Zeroizing::new(serde_json::to_vec(&written).expect("texts are JSON"))
}

fn read(content: &[u8], expiry: Expiry) -> Option<AwsCredentials> {
    let Read { access_key_id, secret_access_key, session_token } = serde_json::from_slice(content).ok()?;
    let [id, secret, token] = [access_key_id, secret_access_key, session_token].map(|text| {
        let secret = Secret::new(text.to_string()).ok();
        secret.filter(|secret| secret.first_disallowed(|c| c.is_ascii_graphic()).is_none())
    });
    Some(AwsCredentials::until(AwsKeys::new(id?, secret?, Some(&token?)), expiry))
}

fn unreadable() -> SourceError {
    SourceError::new(SourceErrorKind::Local, "the keys in the shared store have another form than expected")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::*;
    use crate::refresh::ClockReading;

    #[test]
    fn record_has_all_three_parts_of_a_key() {
        let secret = |text: &str| Secret::new(text.into()).unwrap();
        let keys = AwsKeys::new(secret("ASIA"), secret("sk-CANARY"), Some(&secret("st-CANARY")));
        let content = written(&keys);
        let expiry = Expiry::after(ClockReading::now(), Duration::from_secs(9));
        let read = super::read(&content, expiry).unwrap();
        assert_eq!(read.keys.access_key_id.expose(), "ASIA");
        assert_eq!(read.keys.secret_access_key.expose(), "sk-CANARY");
        assert_eq!((read.keys.token(), read.expiry()), (Some("st-CANARY"), expiry));
        for part in ["access_key_id", "secret_access_key", "session_token"] {
            let text = std::str::from_utf8(&content).unwrap();
            assert!(super::read(text.replace(part, "other").as_bytes(), expiry).is_none(), "{part}");
        }
        let broken = String::from_utf8(content.to_vec()).unwrap().replace("st-CANARY", "st\\r\\nX: y");
        assert!(super::read(broken.as_bytes(), expiry).is_none());
    }
}
