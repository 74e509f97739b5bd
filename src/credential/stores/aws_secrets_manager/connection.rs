//! Reads secrets, signed with keys that are replaced before they end.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use parking_lot::Mutex;
use serde_json::{Map, Value as Json};
use zeroize::Zeroizing;

use super::answer::{ApiError, SecretValue};
use crate::config::CredentialServer;
use crate::credential::aws::{AwsCredentials, AwsKeys, CLOCK_TOLERANCE, Identity, SignedPost, keys_source};
use crate::credential::stores::blocking::run;
use crate::credential::stores::outage::Outage;
use crate::credential::stores::server::{StoreAnswer, StoreRequest, StoreServer};
use crate::credential::stores::stored_secret::SecretStore;
use crate::net::dns::Resolver;
use crate::refresh::{Expiring, SourceErrorKind};
use crate::secret::{Fetched, SecretText, SourceError, StoreConnection};

/// The longest time after refused keys in which none are requested.
const MAX_REFUSAL: Duration = Duration::from_secs(30);

const SERVICE: &str = "secretsmanager";
const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The settings of a connection. Sources of equal ones share it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct AwsStoreSettings {
    pub(super) server: CredentialServer,
    pub(super) region: String,
    pub(super) identity: Identity,
    /// Limit on one request.
    pub(super) limit: Duration,
}

/// A secret of the store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::credential) struct AwsSecretId {
    /// Its name or ARN.
    pub(in crate::credential) id: String,
    pub(in crate::credential) version_stage: Option<String>,
    pub(in crate::credential) version_id: Option<String>,
}

impl fmt::Display for AwsSecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

/// A connection to the store of one region, with one identity.
pub(in crate::credential) struct AwsStoreConnection {
    settings: AwsStoreSettings,
    server: StoreServer,
    /// The temporary keys. Locked while they are requested, so that there is one request at a time.
    keys: Mutex<Option<Arc<AwsCredentials>>>,
    refusal: Outage,
}

/// The keys of a request.
enum KeysNow {
    Static(Box<AwsKeys>),
    Temporary(Arc<AwsCredentials>),
}

impl KeysNow {
    fn keys(&self) -> &AwsKeys {
        match self {
            Self::Static(keys) => keys,
            Self::Temporary(credentials) => credentials.keys(),
        }
    }
}

impl AwsStoreConnection {
    /// A connection. Nothing is sent yet.
    pub(super) fn new(settings: AwsStoreSettings) -> Self {
        let server = StoreServer::new(settings.server.clone(), "AWS Secrets Manager", settings.limit);
        Self { settings, server, keys: Mutex::default(), refusal: Outage::new(MAX_REFUSAL) }
    }

    /// Sends a request, and once more with the time of the store if this machine's clock is off.
    fn send_at_the_right_time(
        &self,
        body: &Zeroizing<String>,
        keys: &AwsKeys,
    ) -> Result<StoreAnswer, SourceError> {
        let answer = self.send(body, keys, 0)?;
        let seconds = |at: SystemTime| {
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
            i64::try_from(since).unwrap_or(i64::MAX)
        };
        let skew = answer.date.map_or(0, |date| seconds(date) - seconds(SystemTime::now()));
        if (400..500).contains(&answer.status) && skew.abs() >= CLOCK_TOLERANCE {
            return self.send(body, keys, skew);
        }
        Ok(answer)
    }

    fn send(
        &self,
        body: &Zeroizing<String>,
        keys: &AwsKeys,
        correction: i64,
    ) -> Result<StoreAnswer, SourceError> {
        let post = SignedPost {
            url: self.server.url(),
            service: SERVICE,
            region: &self.settings.region,
            content_type: Some(CONTENT_TYPE),
            field: Some(("x-amz-target", "secretsmanager.GetSecretValue")),
            body,
        };
        let headers = post
            .fields(keys, correction)
            .ok_or_else(|| SourceError::new(format!("the request to {} cannot be signed", self.who())))?;
        let url = self.server.url().clone();
        let request = StoreRequest { method: Method::POST, url, headers, body: body.clone() };
        self.server.send_within(self.server.limit(), request)
    }

    fn error(&self, answer: &StoreAnswer, keys: &KeysNow) -> ApiError {
        ApiError::of(self.who(), answer.status, &answer.body, keys.keys().secrets())
    }

    /// The keys, requested if there are none that are good for a while.
    fn keys_now(&self) -> Result<KeysNow, SourceError> {
        if let Some(keys) = self.settings.identity.static_keys() {
            return Ok(KeysNow::Static(Box::new(keys.keys())));
        }
        let mut held = self.keys.lock();
        let is_good = |keys: &&Arc<AwsCredentials>| {
            let expiry = keys.expiry();
            !expiry.is_past() && expiry.remaining() > expiry.lifetime() / 5
        };
        if let Some(keys) = held.as_ref().filter(is_good) {
            return Ok(KeysNow::Temporary(keys.clone()));
        }
        self.refusal.check()?;
        match self.request_keys() {
            Ok(keys) => {
                self.refusal.over();
                let keys = Arc::new(keys);
                *held = Some(keys.clone());
                Ok(KeysNow::Temporary(keys))
            }
            Err(error) => {
                self.refusal.failed(&error);
                let usable = held.clone().filter(|keys| !keys.expiry().is_past());
                usable.map(KeysNow::Temporary).ok_or(error)
            }
        }
    }

    fn request_keys(&self) -> Result<AwsCredentials, SourceError> {
        let (tls, _) = self.server.tls()?;
        let work = async {
            let local = |error: String| SourceError::new(format!("keys of AWS: {error}"));
            let resolver = Resolver::from_system().map_err(|error| local(error.to_string()))?;
            let source = keys_source(&self.settings.identity, &tls, &resolver);
            let source = source.map_err(|error| local(error.to_string()))?;
            let source = source.ok_or_else(|| local("they have no source".into()))?;
            source.fetch().await.map_err(|error| {
                let text = format!("keys of AWS: {}", error.message);
                match error.kind {
                    SourceErrorKind::Refused | SourceErrorKind::Local | SourceErrorKind::Malformed => {
                        SourceError::new(text)
                    }
                    _ => SourceError::passing(text),
                }
            })
        };
        run(work).unwrap_or_else(|error| Err(SourceError::new(format!("keys of AWS: {error}"))))
    }

    /// Forgets temporary keys that the store rejects; returns whether there may be other ones.
    fn forget(&self, keys: &KeysNow) -> bool {
        let KeysNow::Temporary(rejected) = keys else { return false };
        let mut held = self.keys.lock();
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(held, rejected)) {
            *held = None;
        }
        true
    }
}

impl SecretStore for AwsStoreConnection {
    type Id = AwsSecretId;
    type Settings = AwsStoreSettings;
    const SOURCE: &'static str = "aws_secrets_manager";
    const PLACE: &'static str = "the secret in AWS Secrets Manager";

    fn settings(&self) -> &AwsStoreSettings {
        &self.settings
    }

    fn who(&self) -> &str {
        self.server.who()
    }

    fn read(self: &Arc<Self>, of: &AwsSecretId) -> Result<Fetched, SourceError> {
        let body = body(of);
        let mut keys = self.keys_now()?;
        let mut answer = self.send_at_the_right_time(&body, keys.keys())?;
        if answer.status != 200 && self.error(&answer, &keys).is_of_keys() && self.forget(&keys) {
            keys = self.keys_now()?;
            answer = self.send_at_the_right_time(&body, keys.keys())?;
        }
        if answer.status != 200 {
            let error = self.error(&answer, &keys);
            let is_passing = answer.is_unavailable() || error.is_passing();
            return Err(if is_passing {
                self.server.unavailable(error.text)
            } else {
                SourceError::new(error.text)
            });
        }
        let malformed =
            || SourceError::new(format!("{}: the answer has no value; is `url` right?", self.who()));
        let read: SecretValue = serde_json::from_slice(&answer.body).map_err(|_| malformed())?;
        let value = match (read.text, read.binary) {
            (Some(text), _) => SecretText::verbatim(text),
            (None, Some(binary)) => {
                let bytes = BASE64_STANDARD.decode(binary.as_bytes()).map_err(|_| malformed())?;
                SecretText::of_content(Zeroizing::new(bytes))
                    .map_err(|error| SourceError::new(format!("{}: {error}", self.who())))?
            }
            (None, None) => return Err(malformed()),
        };
        Ok(Fetched::lasting(value))
    }
}

fn body(of: &AwsSecretId) -> Zeroizing<String> {
    let mut body = Map::new();
    let members = [("VersionStage", &of.version_stage), ("VersionId", &of.version_id)];
    body.insert("SecretId".into(), of.id.clone().into());
    for (name, value) in members {
        body.extend(value.clone().map(|value| (name.to_owned(), Json::from(value))));
    }
    Zeroizing::new(Json::from(body).to_string())
}

impl StoreConnection for AwsStoreConnection {
    /// The store keeps nothing for it, and temporary keys end by themselves.
    fn close(&self) {}
}
