//! All kinds of credentials.

use super::kind::{Build, BuildError, Entry, Refresh, SourceContext, StoreHandle};
use super::kinds::api_key::ApiKey;
use super::kinds::aws_sigv4::AwsSigV4;
use super::kinds::azure_managed_identity::AzureManagedIdentity;
use super::kinds::azure_workload_identity::AzureWorkloadIdentity;
use super::kinds::basic::Basic;
use super::kinds::bearer::Bearer;
use super::kinds::digest::Digest;
use super::kinds::gcp_external_account::GcpExternalAccount;
use super::kinds::gcp_metadata::GcpMetadata;
use super::kinds::gcp_service_account::GcpServiceAccount;
use super::kinds::github_app::GithubApp;
use super::kinds::header::Header;
use super::kinds::hmac::Hmac;
use super::kinds::http_signature::HttpSignatures;
use super::kinds::jwt::Jwt;
use super::kinds::kubernetes::Kubernetes;
use super::kinds::login::Login;
use super::kinds::oauth2::OAuth2;
use super::several::Several;
use super::sources::SOURCES;
use super::stores::STORES;
use super::{Credential, Rejection};
use crate::config::{Auth, AuthKind, Readers, ValueServer};
use crate::refresh::SourceError;

/// The kinds, in the order in which messages list them. A kind is one file in `kinds/` and one line here.
#[rustfmt::skip]
pub const KINDS: &[Entry] = &[
    Entry::of::<Basic>(),
    Entry::of::<Bearer>(),
    Entry::of::<ApiKey>(),
    Entry::of::<OAuth2>(),
    Entry::of::<Header>(),
    Entry::of::<Hmac>(),
    Entry::of::<AwsSigV4>(),
    Entry::of::<Jwt>(),
    Entry::of::<GithubApp>(),
    Entry::of::<Digest>(),
    Entry::of::<HttpSignatures>(),
    Entry::of::<AzureWorkloadIdentity>(),
    Entry::of::<AzureManagedIdentity>(),
    Entry::of::<GcpServiceAccount>(),
    Entry::of::<GcpMetadata>(),
    Entry::of::<GcpExternalAccount>(),
    Entry::of::<Kubernetes>(),
    Entry::of::<Login>(),
];

/// The kinds, the sources of secrets and their stores, as the configuration knows them.
pub const READERS: Readers = Readers { kinds: &auth_kinds(), sources: SOURCES, stores: STORES };

const fn auth_kinds() -> [AuthKind; KINDS.len()] {
    let mut kinds = [KINDS[0].auth; KINDS.len()];
    let mut index = 0;
    while index < kinds.len() {
        kinds[index] = KINDS[index].auth;
        index += 1;
    }
    kinds
}

fn entry(auth: &Auth) -> &'static Entry {
    let entry = KINDS.iter().find(|entry| entry.auth.name == auth.kind());
    entry.expect("settings are read by an entry of the registry")
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

/// Builds the credential of a service. `store` finds the store of a credential that expires.
pub fn build<'s>(auth: &Auth, service: &str, store: impl Fn(&Auth) -> Option<&'s StoreHandle>) -> Credential {
    let signer = |auth| (entry(auth).build)(auth, &Build { service, store: store(auth) });
    Credential::new(match auth.parts() {
        [auth] => signer(auth),
        parts => {
            let signing = parts.iter().position(|part| part.facts().signs);
            Box::new(Several::new(parts.iter().map(signer).collect(), signing))
        }
    })
}

/// The server that gives the value that expires, as a URL or in words, for pages; `None` if no value expires.
pub fn value_server(auth: &Auth) -> Option<String> {
    auth.parts().iter().find_map(|auth| (entry(auth).value_server)(auth))
}

/// Every server that requests for values go to, but those of [`OAuth2`](crate::config::OAuth2) settings.
pub fn value_servers(auth: &Auth) -> Vec<ValueServer> {
    auth.parts().iter().flat_map(|auth| (entry(auth).servers)(auth)).collect()
}

/// Explains why there is no value: what to look at and what to change, most likely first.
pub fn explain_failure(auth: &Auth, error: &SourceError) -> Vec<String> {
    of_parts(auth, |auth| (entry(auth).explain_failure)(auth, error))
}

/// Whether upstreams reject a credential of this kind with this status.
pub fn is_rejected_with(auth: &Auth, status: u16) -> bool {
    auth.parts().iter().any(|auth| entry(auth).rejected_with.contains(&status))
}

/// Whether a kind of this name is what this machine or its platform has.
pub fn is_of_platform(kind: &str) -> bool {
    KINDS.iter().any(|entry| entry.auth.name == kind && entry.is_of_platform)
}

/// The errors of upstreams that kinds of this credential know, and what each means.
pub fn upstream_errors(auth: &Auth) -> impl Iterator<Item = (&'static str, &'static str)> {
    auth.parts().iter().flat_map(|auth| entry(auth).upstream_errors.iter().copied())
}

/// Explains a rejection by the upstream: what to look at and what to change, most likely first.
pub fn explain_401(auth: &Auth, rejection: &Rejection<'_>) -> Vec<String> {
    of_parts(auth, |auth| (entry(auth).explain_401)(auth, rejection))
}

/// The sentences about each credential of a list, with its kind before them.
fn of_parts(auth: &Auth, explain: impl Fn(&Auth) -> Vec<String>) -> Vec<String> {
    let [_, _, ..] = auth.parts() else { return explain(auth) };
    let of_part = |part| explain(part).into_iter().map(|text| format!("{}: {text}", part.kind()));
    auth.parts().iter().flat_map(of_part).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::config;
    use crate::config::Config;

    const SAMPLES: &str = include_str!("../../config/services.yaml");
    const RSA_KEY: &str = include_str!("../config/tests/fixtures/rsa.pem");
    const ANOTHER_RSA_KEY: &str = include_str!("../config/tests/fixtures/another-rsa.pem");
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

    /// The same as it is read, with this secret.
    fn read_sample(kind: &str, secret: &'static str) -> Auth {
        let text = serde_json::json!({ "services": { "a": { "upstream": "https://a.example", "auth": sample(kind) } } });
        let key = if secret == "CANARY-1" { RSA_KEY } else { ANOTHER_RSA_KEY };
        let environment = |name: &str| match name {
            "PRIVATE_KEY" => Some(key.into()),
            "CANARY" => Some(secret.into()),
            _ => None,
        };
        let config = Config::parse_with(&text.to_string(), "a.yaml", &environment, READERS);
        config.unwrap_or_else(|error| panic!("{kind}: {error}")).services.remove(0).auth
    }

    fn replace_sources(value: &mut Value) {
        let Some(map) = value.as_object_mut() else { return };
        for (key, inner) in map {
            let fixture = match key.as_str() {
                "token_file" => Some("workload.jwt"),
                "key_file" => Some("google-key.json"),
                "credential_file" => Some("google-federation.json"),
                _ => None,
            };
            if let Some(fixture) = fixture {
                *inner = format!("./src/config/tests/fixtures/{fixture}").into();
            } else if SOURCES.iter().any(|source| inner.get(source.name()).is_some()) {
                let variable = if key == "private_key" { "PRIVATE_KEY" } else { "CANARY" };
                *inner = serde_json::json!({ "env": variable });
            } else {
                replace_sources(inner);
            }
        }
    }

    #[test]
    fn kinds_have_schema_sample_and_docs() {
        let schema = config::schema(READERS);
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
    fn explanation_of_a_401_depends_on_the_settings() {
        let explained = |auth: &str, challenges: &[&'static str]| {
            let text = format!("services: {{ a: {{ upstream: 'https://a.example', auth: {{ {auth} }} }} }}");
            let config = Config::parse_with(&text, "a.yaml", &|_| None, READERS);
            let auth = config.unwrap_or_else(|error| panic!("{error}")).services.remove(0).auth;
            explain_401(&auth, &Rejection { status: 401, challenges, token_scheme: None }).join("\n")
        };
        let hmac = |parts: &str| explained(&format!("type: hmac, header: X-Signature, {parts}"), &[]);
        assert!(hmac("key: k, parts: [timestamp], timestamp_header: X-Time").contains("clock"));
        assert!(!hmac("key: k, parts: [method]").contains("clock"));
        assert!(hmac("parts: [method], key_encoding: hex, key: aa").contains("`key_encoding: utf8`"));
        let key = |prefix: &str| {
            explained(
                &format!("type: api_key, name: Authorization, value: k, prefix: '{prefix}'"),
                &["Bearer"],
            )
        };
        assert!(key("").contains("`type: bearer`") && !key("Token ").contains("`type: bearer`"));
        let oauth2 = |keys: &str| {
            let client = "type: oauth2, grant_type: client_credentials, client_id: a, client_secret: s";
            explained(&format!("{client}, {keys}"), &["Basic"])
        };
        assert!(oauth2("token_url: 'https://t.example'").contains("`token_url`"));
        assert!(oauth2("issuer: 'https://t.example'").contains("Is `issuer`"));
        assert!(
            oauth2("issuer: 'https://t.example'").contains("asks for Basic, and this service sends Bearer")
        );
    }

    #[test]
    fn kind_that_never_changes_owns_what_its_signer_owns() {
        let samples = KINDS.iter().map(|entry| read_sample(entry.auth.name, "CANARY-1"));
        let fixed: Vec<_> = samples.filter(|auth| auth.facts().is_fixed).collect();
        assert_eq!(fixed.len(), 6);
        for auth in fixed {
            let credential = build(&auth, "a", |_| None);
            assert_eq!(auth.facts().places, credential.signer().owned().places(), "{}", auth.kind());
        }
    }

    #[test]
    fn kinds_show_no_secret_and_share_equal_settings() {
        for Entry { auth: AuthKind { name, .. }, .. } in KINDS {
            let read = |secret| read_sample(name, secret);
            let (one, same, other) = (read("CANARY-1"), read("CANARY-1"), read("CANARY-2"));
            // The identity of a platform has no secret in the configuration.
            assert!(one == same && (one != other || is_of_platform(name)), "{name}");
            let rejection = Rejection { status: 401, challenges: &["Basic", "Bearer"], token_scheme: None };
            let explained = explain_401(&one, &rejection);
            assert!(!explained.is_empty(), "{name}");
            let debug = format!("{one:?} {one:#?} {explained:?}");
            assert!(!debug.contains("CANARY"), "{name}: {debug}");
            assert_eq!(one.kind(), *name);
        }
    }
}
