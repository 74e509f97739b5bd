//! A store: an entry of `secret_stores`, and how it is read.

use std::sync::Arc;
use std::time::Duration;

use super::connection::VaultConnection;
use super::login;
use super::login::{LOGIN, Login};
use super::settings::VaultSettings;
use crate::config::reader::duration;
use crate::config::reader::duration::DURATION;
use crate::config::reader::mapping::Mapping;
use crate::config::reader::table::{Format, Key, Keys};
use crate::config::{
    CredentialServer, SERVER_PLAINTEXT, SERVER_PROXY, SERVER_TLS, STORE_URL, Store, StoreKind,
};

/// Default of `timeout`.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Default of `refresh_interval`.
const REFRESH_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// A store as secrets use it.
pub(in crate::credential) struct VaultStore {
    pub(in crate::credential) connection: Arc<VaultConnection>,
    /// Time after which a secret is read again.
    pub(in crate::credential) refresh_interval: Duration,
}

/// Its part of the table of stores.
pub(in crate::credential) const KIND: StoreKind =
    StoreKind { name: "vault", keys: KEYS, read, server, servers_of_keys: |_| Vec::new() };

const KEYS: Keys = &[
    STORE_URL.and_required(),
    Key::required("login", LOGIN, "How Sidekey logs in."),
    Key::optional("namespace", Format::Text, "Namespace of the login and of every secret."),
    SERVER_TLS,
    SERVER_PROXY,
    SERVER_PLAINTEXT,
    Key::optional("timeout", DURATION, "Limit on one request.").or("10s"),
    Key::optional("refresh_interval", DURATION, "A secret is read again after this long.").or("5m"),
];

fn read(mapping: &mut Mapping<'_>) -> Option<Store> {
    let server = CredentialServer::read_store(mapping, None);
    let login = mapping.required("login").and_then(|value| login::read(&value));
    let namespace = mapping.optional("namespace").map(|value| value.parse(namespace));
    let limit = mapping.optional("timeout").map(|value| duration::positive(&value));
    let refresh_interval = mapping.optional("refresh_interval").map(|value| duration::positive(&value));
    let (server, login) = (server?, login?);
    if matches!(server.url.path().trim_matches('/').rsplit('/').next(), Some("v1" | "ui")) {
        mapping.value().error("`url` is that of the store itself, without `/v1` and `/ui`");
        return None;
    }
    if matches!(login, Login::Certificate { .. }) && server.tls.client.is_none() {
        mapping.value().error("`method: certificate` needs `tls: { cert_file, key_file }` of the store");
        return None;
    }
    let settings = VaultSettings {
        server,
        login,
        namespace: match namespace {
            None => None,
            Some(namespace) => Some(namespace?),
        },
        limit: limit.unwrap_or(Some(TIMEOUT))?,
    };
    let refresh_interval = refresh_interval.unwrap_or(Some(REFRESH_INTERVAL))?;
    let cache = mapping.value().secrets();
    let connection = cache.connection(
        |known: &VaultConnection| known.has(&settings),
        || VaultConnection::new(settings.clone()),
    );
    Some(Arc::new(VaultStore { connection, refresh_interval }))
}

fn server(store: &Store) -> Option<&CredentialServer> {
    store.downcast_ref::<VaultStore>().map(|store| store.connection.server())
}

fn namespace(text: &str) -> Result<String, String> {
    let is_allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '#' | '%' | '\\');
    if text.trim_matches('/').is_empty() || !text.chars().all(is_allowed) {
        return Err("a namespace is written as a path: `team-a/project`".into());
    }
    Ok(text.to_owned())
}
