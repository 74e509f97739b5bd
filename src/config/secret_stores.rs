//! `secret_stores`: the servers that secrets are read from, by name. A secret names its store, so that address and login are
//! written once.

use std::any::Any;
use std::sync::Arc;

use super::credential_server::CredentialServer;
use super::reader::mapping::Mapping;
use super::reader::stores::{NamedStore, Store, Stores};
use super::reader::suggest::{did_you_mean, list};
use super::reader::table::{Format, Key, Keys, Names};
use super::reader::value::Value;
use super::value_server::ValueServer;

/// A kind of store, as far as the configuration must know it.
#[derive(Clone, Copy)]
pub struct StoreKind {
    /// The value of `type`, and the key that names it in a secret.
    pub name: &'static str,
    /// The keys beside `type`.
    pub keys: Keys,
    /// Reads these keys. Returns `None` only with an error on the report.
    pub read: fn(&mut Mapping<'_>) -> Option<Store>,
    /// The server of a store of this kind.
    pub server: fn(&Store) -> Option<&CredentialServer>,
    /// The servers that give the keys with which the store is asked.
    pub servers_of_keys: fn(&Store) -> Vec<ValueServer>,
}

/// The servers of a store.
#[derive(Debug, Clone)]
pub struct SecretStoreServers {
    /// The name of the store.
    pub name: String,
    /// The store itself.
    pub server: CredentialServer,
    /// Those that give the keys with which it is asked.
    pub of_keys: Vec<ValueServer>,
}

/// The kinds of stores that the configuration may have.
pub type StoreKinds = &'static [StoreKind];

/// The format of `secret_stores`.
pub(super) const SECRET_STORES: Format = Format::Names(&Names::of(Format::SecretStore));

/// The key that every store has; its kind has the others.
const TYPE: Keys = &[Key::required("type", Format::CredentialKind, "The kind of store.")];

/// Reads the stores, for the secrets that are read after them. Returns the servers of those that are valid.
pub(super) fn read(value: &Value<'_>, kinds: StoreKinds) -> Vec<SecretStoreServers> {
    let report = value.report();
    let read_one = |(name, value): (&str, Value<'_>)| {
        let ((kind, store), errors) = report.collect_entry(&value.spot(), || read_store(&value, kinds));
        let store = store.filter(|_| errors.is_empty());
        NamedStore { name: name.to_owned(), kind, store, errors, is_used: false }
    };
    // A store cannot be used to read the login of another one: there is none before all are read.
    let stores: Vec<_> = value.entries().unwrap_or_default().into_iter().map(read_one).collect();
    let server = |named: &NamedStore| {
        let kind = kinds.iter().find(|kind| Some(kind.name) == named.kind)?;
        let store = named.store.as_ref()?;
        Some(SecretStoreServers {
            name: named.name.clone(),
            server: (kind.server)(store)?.clone(),
            of_keys: (kind.servers_of_keys)(store),
        })
    };
    let servers = stores.iter().filter_map(server).collect();
    *report.stores() = Stores(stores);
    servers
}

fn read_store(value: &Value<'_>, kinds: StoreKinds) -> (Option<&'static str>, Option<Store>) {
    let Some(mut mapping) = value.mapping() else { return (None, None) };
    if !mapping.has("type") {
        let types = list(kinds.iter().map(|kind| kind.name));
        value.error(format!("`type` is required; allowed: {types}"));
        return (None, None);
    }
    mapping.allow(TYPE);
    let named: Vec<_> = kinds.iter().map(|kind| (kind.name, kind)).collect();
    let Some(kind) = mapping.required("type").and_then(|value| value.one_of(&named)) else {
        return (None, None);
    };
    mapping.allow(kind.keys);
    let store = (kind.read)(&mut mapping);
    mapping.reject_unknown_keys();
    (Some(kind.name), store)
}

/// The store that a secret is read from: that of this name, or the only one of its kind. `of` is the secret. Returns `None` only
/// with an error on the report.
///
/// # Panics
///
/// If the stores of this kind are of another type.
pub fn find<T: Any + Send + Sync>(of: &Value<'_>, kind: &str, name: Option<&Value<'_>>) -> Option<Arc<T>> {
    let report = of.report();
    let mut stores = report.stores();
    let found = match name {
        Some(name) => by_name(&mut stores.0, kind, name),
        None => only_one(&mut stores.0, kind).map_err(|message| of.error(message)).ok(),
    }?;
    found.is_used = true;
    report.repeat(found.errors.iter().cloned());
    let store = found.store.clone()?;
    Some(store.downcast().expect("a kind of store has one type"))
}

fn by_name<'s>(stores: &'s mut [NamedStore], kind: &str, name: &Value<'_>) -> Option<&'s mut NamedStore> {
    let text = name.text()?;
    let names: Vec<_> = stores.iter().map(|store| store.name.clone()).collect();
    let Some(found) = stores.iter_mut().find(|store| store.name == text) else {
        let names = || names.iter().map(String::as_str);
        let question = did_you_mean(text, names());
        let known = match names().count() {
            0 => "the file has no `secret_stores`".to_owned(),
            _ => format!("`secret_stores` has {}", list(names())),
        };
        let between = if question.is_empty() { "; " } else { " " };
        name.error(format!("no store has this name{question}{between}{known}"));
        return None;
    };
    match found.kind {
        Some(other) if other != kind => {
            name.error(format!(
                "this store is of the type `{other}`, and a secret of `{kind}` needs one of that type"
            ));
            None
        }
        _ => Some(found),
    }
}

fn only_one<'s>(stores: &'s mut [NamedStore], kind: &str) -> Result<&'s mut NamedStore, String> {
    let mut of_kind: Vec<_> = stores.iter_mut().filter(|store| store.kind == Some(kind)).collect();
    match of_kind.len() {
        1 => Ok(of_kind.remove(0)),
        0 => Err(format!(
            "no store to read from: the main file has none of `type: {kind}` under `secret_stores`, or this is the login of a store"
        )),
        _ => {
            let names = list(of_kind.iter().map(|store| store.name.as_str()));
            Err(format!("which store? `store` is required, because there are {names}"))
        }
    }
}

/// Warns of stores that nothing uses, and reports the errors in them.
pub(super) fn report_unused(value: &Value<'_>) {
    let report = value.report();
    let entries = value.entries().unwrap_or_default();
    let stores = report.stores();
    for ((_, value), store) in entries.iter().zip(&stores.0).filter(|(_, store)| !store.is_used) {
        value.warn("no secret is read from this store");
        report.repeat(store.errors.iter().cloned());
    }
}
