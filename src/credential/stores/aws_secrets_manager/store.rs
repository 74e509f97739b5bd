//! A store: an entry of `secret_stores`, and how it is read.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::connection::{AwsStoreConnection, AwsStoreSettings};
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Key, Keys};
use crate::config::{
    CredentialServer, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS, STORE_URL, Store, StoreKind, ValueServer,
};
use crate::credential::aws;
use crate::credential::aws::{
    ACCESS_KEY_ID, ASSUME_ROLE, CREDENTIALS, REGION, SECRET_ACCESS_KEY, SESSION_TOKEN,
};
use crate::credential::stores::stored_secret::SecretStore;

/// Default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Default of `refresh_interval`: each request costs.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// A store as secrets use it.
pub(in crate::credential) struct AwsStore {
    pub(in crate::credential) connection: Arc<AwsStoreConnection>,
    /// Time after which a secret is read again.
    pub(in crate::credential) refresh_interval: Duration,
}

/// Its part of the table of stores.
pub(in crate::credential) const KIND: StoreKind =
    StoreKind { name: "aws_secrets_manager", keys: KEYS, read, server, servers_of_keys };

const KEYS: Keys = &[
    REGION,
    ACCESS_KEY_ID,
    SECRET_ACCESS_KEY,
    SESSION_TOKEN,
    CREDENTIALS,
    ASSUME_ROLE,
    STORE_URL,
    SERVER_TLS,
    SERVER_PROXY,
    SERVER_PLAINTEXT,
    Key::optional("timeout", DURATION, "Limit on one request.").or("10s"),
    Key::optional("refresh_interval", DURATION, "A secret is read again after this long.").or("5m"),
];

fn read(mapping: &mut Mapping<'_>) -> Option<Store> {
    let region = aws::region(mapping);
    let identity = aws::identity(mapping, region.as_deref());
    // Without a region there is an error already.
    let default = endpoint(region.as_deref().unwrap_or("eu-west-1"));
    let server = CredentialServer::read_store(mapping, default);
    let limit = mapping.optional("timeout").map(|value| duration::positive(&value));
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    let settings = AwsStoreSettings {
        server: server?,
        region: region?,
        identity: identity?,
        limit: limit.unwrap_or(Some(TIMEOUT))?,
    };
    let refresh_interval = refresh_interval.unwrap_or(Some(REFRESH_INTERVAL))?;
    let cache = mapping.value().secrets();
    let connection = cache.connection(
        |known: &AwsStoreConnection| *known.settings() == settings,
        || AwsStoreConnection::new(settings.clone()),
    );
    Some(Arc::new(AwsStore { connection, refresh_interval }))
}

fn server(store: &Store) -> Option<&CredentialServer> {
    store.downcast_ref::<AwsStore>().map(|store| &store.connection.settings().server)
}

fn servers_of_keys(store: &Store) -> Vec<ValueServer> {
    let store = store.downcast_ref::<AwsStore>();
    store.map(|store| store.connection.settings().identity.servers()).unwrap_or_default()
}

/// The endpoint of a region.
fn endpoint(region: &str) -> Option<Url> {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    Url::parse(&format!("https://secretsmanager.{region}.{suffix}/")).ok()
}
