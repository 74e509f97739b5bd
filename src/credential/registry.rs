//! All kinds of credentials.

use super::kind::{Build, BuildError, Entry, Refresh, SourceContext, StoreHandle};
use super::kinds::api_key::ApiKey;
use super::kinds::basic::Basic;
use super::kinds::bearer::Bearer;
use super::kinds::header::Header;
use super::kinds::hmac::Hmac;
use super::kinds::oauth2::OAuth2;
use super::{Credential, Signer};
use crate::config::{Auth, AuthKind, AuthKinds};

/// The kinds, in the order in which messages list them. A kind is one file in `kinds/` and one line here.
#[rustfmt::skip]
pub const KINDS: &[Entry] = &[
    Entry::of::<Basic>(),
    Entry::of::<Bearer>(),
    Entry::of::<ApiKey>(),
    Entry::of::<OAuth2>(),
    Entry::of::<Header>(),
    Entry::of::<Hmac>(),
];

/// The part of each kind that the configuration uses.
pub const AUTH_KINDS: AuthKinds = &auth_kinds();

const fn auth_kinds() -> [AuthKind; KINDS.len()] {
    let mut kinds = [KINDS[0].auth; KINDS.len()];
    let mut index = 0;
    while index < kinds.len() {
        kinds[index] = KINDS[index].auth;
        index += 1;
    }
    kinds
}

/// The kind of this name.
pub fn kind_named(name: &str) -> Option<&'static Entry> {
    KINDS.iter().find(|entry| entry.auth.name == name)
}

fn entry(auth: &Auth) -> &'static Entry {
    kind_named(auth.kind()).expect("settings are read by an entry of the registry")
}

/// Builds the store and the refresher of a credential that expires; `None` if it does not.
///
/// # Errors
///
/// If the source cannot be built, for example because a certificate file cannot be read.
pub fn refresh(
    auth: &Auth,
    context: &SourceContext<'_>,
    reuse: Option<StoreHandle>,
) -> Result<Option<Refresh>, BuildError> {
    (entry(auth).refresh)(auth, context, reuse)
}

/// Whether a value obtained with `old` settings stays in use until there is one with `new` settings.
pub fn keeps_value(old: &Auth, new: &Auth) -> bool {
    old.kind() == new.kind() && (entry(old).keeps_value)(old, new)
}

/// Builds the credential of a service.
pub fn build(auth: &Auth, service: &str, store: Option<&StoreHandle>) -> Credential {
    let signer: Box<dyn Signer> = (entry(auth).build)(auth, &Build { service, store });
    Credential::new(signer)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config;
    use crate::config::Config;

    const SAMPLES: &str = include_str!("../../config/services.yaml");
    const DOCS: &str = include_str!("../../docs/CONFIGURATION.md");

    /// The first `auth` of this kind among the samples, every secret of which is read from the variable
    /// `CANARY`.
    fn sample(kind: &str) -> Value {
        let samples: Value = serde_yaml::from_str(SAMPLES).unwrap();
        let services = samples["services"].as_object().unwrap().values();
        let auth = services.map(|service| &service["auth"]).find(|auth| auth["type"] == kind);
        let mut auth = auth.unwrap_or_else(|| panic!("config/services.yaml has no `type: {kind}`")).clone();
        replace_sources(&mut auth);
        auth
    }

    fn replace_sources(value: &mut Value) {
        let Some(map) = value.as_object_mut() else { return };
        for inner in map.values_mut() {
            if inner.get("file").is_some() || inner.get("env").is_some() || inner.get("exec").is_some() {
                *inner = serde_json::json!({ "env": "CANARY" });
            } else {
                replace_sources(inner);
            }
        }
    }

    #[test]
    fn kinds_have_schema_sample_and_docs() {
        let schema = config::schema(AUTH_KINDS);
        let listed = schema["$defs"]["credential"]["oneOf"].as_array().unwrap();
        assert_eq!(listed.len(), KINDS.len());
        for Entry { auth: AuthKind { name, .. }, .. } in KINDS {
            assert_eq!(schema["$defs"][name]["properties"]["type"]["const"], *name, "schema of {name}");
            assert!(listed.contains(&serde_json::json!({ "$ref": format!("#/$defs/{name}") })), "{name}");
            assert!(
                DOCS.contains(&format!("### `type: {name}`")),
                "docs/CONFIGURATION.md has no `type: {name}`"
            );
            sample(name);
        }
    }

    #[test]
    fn kinds_show_no_secret_and_share_equal_settings() {
        for Entry { auth: AuthKind { name, .. }, .. } in KINDS {
            let text = serde_json::json!({ "services": { "a": { "upstream": "https://a.example", "auth": sample(name) } } });
            let read = |secret: &'static str| {
                let config =
                    Config::parse_with(&text.to_string(), "a.yaml", &|_| Some(secret.into()), AUTH_KINDS);
                config.unwrap_or_else(|error| panic!("{name}: {error}")).services.remove(0).auth
            };
            let (one, same, other) = (read("CANARY-1"), read("CANARY-1"), read("CANARY-2"));
            assert!(one == same && one != other, "{name}");
            let debug = format!("{one:?} {one:#?}");
            assert!(!debug.contains("CANARY"), "{name}: {debug}");
            assert_eq!(one.kind(), *name);
        }
    }
}
