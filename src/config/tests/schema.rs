//! `config/schema.json`: it is what the program prints, it has nothing that no reader reads, and it says what the readers do.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Map, Value, json};

use super::{invalid, samples};
use crate::config::{self, Config};
use crate::credential::READERS;

/// Files that have every mapping with a default in it.
const MAPPINGS: &[&str] = &[
    "defaults: {}\nservices: { a: { upstream: 'https://a.example', auth: { type: bearer, token: { env: TOKEN } } } }",
    "
audit: { path: /x }
callers:
  a: { jwt: { issuer: a, audience: b, jwks_url: 'https://a.example' } }
  b: { unix: { uid: 1 } }
  c: { certificate: { dns: c.example }, rate_limit: { rate: 1/s } }
  d: { bearer: { sha256: 60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752 } }
roles: { r: { callers: a, services: { a: { allow: read_only } } } }
services: { a: { upstream: 'https://a.example', auth: { type: bearer, token: { exec: [echo, token] } } } }
",
    "
admin: { token: { env: TOKEN } }
connect: { unmatched: tunnel }
hardening: { writable: [/x] }
log: {}
reload: {}
downstream_timeouts: {}
shutdown: {}
shared: { url: 'rediss://a.example', key: { env: TOKEN } }
state: { dir: /x, key: { env: TOKEN } }
tracing: { otlp_endpoint: 'https://collector.example' }
services:
  a:
    upstream: https://a.example
    auth: { type: api_key, name: X-Key, value: { env: TOKEN } }
    circuit_breaker: {}
    max_response_head: {}
    pool: {}
    timeouts: {}
    tls: {}
",
    "services: { a: { upstream: 'https://a.example', auth: { type: bearer, token: { exec: [echo, token] } } } }",
    // No secret is read from it.
    "
secret_stores: { a: { type: vault, url: 'https://a.example', login: { method: token, token: { env: TOKEN } } } }
services: { a: { upstream: 'https://a.example', auth: { type: bearer, token: { env: TOKEN } } } }
",
    "
secret_stores: { a: { type: aws_secrets_manager, region: a, access_key_id: { env: TOKEN }, secret_access_key: { env: TOKEN } } }
services: { a: { upstream: 'https://a.example', auth: { type: bearer, token: { env: TOKEN } } } }
",
    "
services:
  a:
    upstream: https://a.example
    auth: { type: github_app, app_id: a, private_key: { env: PRIVATE_KEY }, owner: a }
  c:
    upstream: https://a.example
    auth: { type: jwt, secret: { env: TOKEN }, reuse: {}, token: { name: X-Token } }
  b:
    upstream: https://b.example
    auth: { type: oauth2, grant_type: client_credentials, token_url: 'https://b.example', client_id: b, client_secret: { env: TOKEN }, token: { name: t } }
  d:
    upstream: https://d.example
    auth: { type: oauth2, grant_type: client_credentials, token_url: 'https://d.example', client_id: d, auth_method: client_assertion, client_assertion: { env: TOKEN } }
  f:
    upstream: https://f.example
    auth: { type: gcp_metadata }
  g:
    upstream: https://g.example
    auth: { type: gcp_service_account, key_file: ./src/config/tests/fixtures/google-key.json }
  h:
    upstream: https://h.example
    auth: { type: gcp_external_account, credential_file: ./src/config/tests/fixtures/google-federation.json }
  e:
    upstream: https://e.example
    auth: { type: azure_workload_identity, scope: 'api://e/.default', tenant_id: a, client_id: e, token_file: ./src/config/tests/fixtures/workload.jwt }
",
    "
services:
  a:
    upstream: https://a.example
    auth: { type: hmac, key: { env: TOKEN }, parts: [method], header: X-Signature }
",
    "
services:
  a:
    upstream: https://a.example
    auth: { type: login, login_url: 'https://a.example', fields: { p: { env: TOKEN } }, session: 'header:X', logout_url: 'https://a.example' }
",
    "
services:
  a:
    upstream: https://a.example
    auth: { type: http_signature, algorithm: hmac-sha256, key: { env: TOKEN }, components: [date] }
",
    "
services:
  a:
    upstream: https://a.example
    auth: { type: aws_sigv4, service: s3, region: a, access_key_id: { env: TOKEN }, secret_access_key: { env: TOKEN } }
",
    "
services:
  a:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: client_credentials
      token_url: https://a.example/token
      client_id: a
      client_secret: { env: TOKEN }
      token_request: {}
",
    "
services:
  a:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: token_exchange
      token_url: https://a.example/token
      subject_token: { env: TOKEN }
      actor_token: { env: TOKEN }
",
    "
services:
  a:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: jwt_bearer
      token_url: https://a.example/token
      private_key: { env: PRIVATE_KEY }
      claims: { iss: a, sub: b }
",
    "
services:
  a:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: jwt_bearer
      token_url: https://a.example/token
      assertion: { from: caller }
      caller_tokens: {}
",
    "
services:
  a:
    upstream: https://a.example
    auth:
      type: oauth2
      grant_type: token_exchange
      token_url: https://a.example/token
      subject_token: { from: caller }
",
];

/// The value of the environment variable `PRIVATE_KEY`.
const PRIVATE_KEY: &str = include_str!("fixtures/rsa.pem");

thread_local! {
    /// The path of a mapping, and a key that a reader asked it for.
    static ASKED: RefCell<BTreeSet<(String, &'static str)>> = const { RefCell::new(BTreeSet::new()) };
}

/// Records that a reader asked a mapping for a key.
pub(in crate::config) fn asked(path: &str, key: &'static str) {
    ASKED.with_borrow_mut(|asked| asked.insert((path.to_owned(), key)));
}

fn parse(text: &str) -> Result<Config, config::ConfigError> {
    let environment = |name: &str| match name {
        "PRIVATE_KEY" => Some(PRIVATE_KEY.into()),
        // What a platform sets is set on no machine of a test.
        _ if ["OTEL_", "AZURE_", "IDENTITY_", "IMDS_", "GCE_", "GOOGLE_"]
            .iter()
            .any(|start| name.starts_with(start)) =>
        {
            None
        }
        _ => Some("from-the-environment-with-a-long-secret".into()),
    };
    Config::parse_with(text, "a.yaml", &environment, READERS)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&config::schema(READERS)).unwrap()
}

#[track_caller]
fn assert_valid(schema: &jsonschema::Validator, value: &Value, name: &str) {
    let errors: Vec<_> =
        schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

/// With `SIDEKEY_WRITE=1` the file is written instead (`make schema`).
#[test]
fn schema_file_is_what_the_program_prints() {
    for (name, schema) in
        [("schema.json", config::schema(READERS)), ("included.schema.json", config::included_schema(READERS))]
    {
        let path = root().join("config").join(name);
        let printed = format!("{schema:#}\n");
        if std::env::var_os("SIDEKEY_WRITE").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let file = std::fs::read_to_string(path).unwrap_or_default();
        assert!(file == printed, "config/{name} is not made from the tables any more; run `make schema`");
    }
}

#[test]
fn schema_has_no_key_that_no_reader_asks_for() {
    for (_, text) in invalid::all() {
        let _ = parse(text.strip_prefix('\n').unwrap_or(text));
    }
    for (_, text) in samples::all() {
        let _ = parse(&text);
    }
    let (asked, schema) = (ASKED.take(), config::schema(READERS));
    // A property is identified by its node in the schema, because several paths lead to it.
    let mut reached = BTreeSet::new();
    for (path, key) in &asked {
        let places = at(&schema, path).into_iter().filter(|place| place["properties"].get(key).is_some());
        reached.extend(places.map(|place| (std::ptr::from_ref::<Value>(place).addr(), (*key).to_owned())));
    }
    let mut unread = BTreeSet::new();
    visit(&schema, "", &mut |place, node| {
        for (key, value) in node["properties"].as_object().into_iter().flatten() {
            let is_read = reached.contains(&(std::ptr::from_ref(node).addr(), key.clone()));
            // Conditions name keys of the mapping that they are in.
            let is_condition = value.is_boolean() || place.ends_with("/if");
            if !is_read && !is_condition {
                unread.insert(format!("{place}: {key}"));
            }
        }
    });
    assert!(unread.is_empty(), "in a table, but never read in samples and invalid files: {unread:#?}");
}

#[test]
fn samples_and_documented_snippets_match_the_schema() {
    let schema = validator();
    for (name, text) in samples::all() {
        assert_valid(&schema, &serde_yaml::from_str(&text).unwrap(), &name);
    }
    let included = jsonschema::validator_for(&config::included_schema(READERS)).unwrap();
    for (name, text) in samples::included() {
        assert_valid(&included, &serde_yaml::from_str(&text).unwrap(), &name);
    }
    assert!(!included.is_valid(&json!({ "services": {}, "listen": "127.0.0.1:8080" })));
    for folder in ["gateway", "examples/configuration", "examples/aws", "examples/azure", "examples/gcp"] {
        let path = root().join("deploy/kubernetes").join(folder).join("services.yaml");
        let deployed = std::fs::read_to_string(path).unwrap();
        assert_valid(&schema, &serde_yaml::from_str(&deployed).unwrap(), folder);
    }
    for text in MAPPINGS {
        assert_valid(&schema, &serde_yaml::from_str(text).unwrap(), text);
    }
    let mut snippets = 0;
    for page in ["README.md", "docs/CONFIGURATION.md"] {
        let page = std::fs::read_to_string(root().join(page)).unwrap();
        for snippet in page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()) {
            let whole = whole(serde_yaml::from_str(snippet).unwrap());
            assert_valid(&schema, &whole, snippet);
            snippets += 1;
        }
    }
    assert!(snippets > 20, "{snippets} snippets");
}

/// A file with the keys of a snippet, each where it belongs.
fn whole(snippet: Map<String, Value>) -> Value {
    let schema = config::schema(READERS);
    let has =
        |path: &str, key: &str| at(&schema, path).iter().any(|place| !place["properties"][key].is_null());
    let mut file = json!({ "services": { "a": { "upstream": "https://a.example", "auth": {
        "type": "oauth2", "grant_type": "client_credentials", "token_url": "https://a.example", "client_id": "a",
    } } } });
    for (key, value) in snippet {
        let place = ["", "/services/a", "/services/a/auth"]
            .into_iter()
            .find(|place| has(&place.replacen('/', "", 1).replace('/', "."), &key))
            .unwrap_or_else(|| panic!("a snippet has the key `{key}`"));
        file.pointer_mut(place).unwrap()[key] = value;
    }
    file
}

/// What only the program rejects: a change of the schema that makes the list longer makes the schema worse.
#[test]
fn schema_rejects_what_it_can_of_the_invalid_files() {
    let schema = validator();
    let mut accepted = Vec::new();
    for (subject, cases) in invalid::ALL {
        for (name, text) in *cases {
            // What is no YAML has no schema.
            let Ok(value) = serde_yaml::from_str::<Value>(text) else { continue };
            if schema.is_valid(&value) {
                accepted.push(format!("{subject}: {name}"));
            }
        }
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("schema_accepts", accepted.join("\n"));
    });
}

#[test]
fn schema_defaults_are_those_of_the_readers() {
    let schema = config::schema(READERS);
    let (mut checked, mut wrong) = (BTreeSet::new(), Vec::new());
    for text in MAPPINGS {
        let sample: Value = serde_yaml::from_str(text).unwrap();
        parse(text).unwrap_or_else(|error| panic!("{error}"));
        for path in mappings(&sample) {
            for place in at(&schema, &path) {
                for (key, property) in place["properties"].as_object().into_iter().flatten() {
                    let Some(default) = property.get("default") else { continue };
                    let config = |value: Option<&Value>| {
                        let mut changed = sample.clone();
                        let mapping = changed.pointer_mut(&pointer(&path)).unwrap().as_object_mut().unwrap();
                        mapping.remove(key);
                        mapping.extend(value.map(|value| (key.clone(), value.clone())));
                        parse(&changed.to_string()).map(|config| format!("{config:#?}"))
                    };
                    // The key may belong to another kind, or need another key.
                    let (Ok(without), Ok(written)) = (config(None), config(Some(default))) else { continue };
                    if without != written {
                        wrong.push(format!("{path}: {key}: {default}"));
                    }
                    checked.insert(std::ptr::from_ref(property).addr());
                }
            }
        }
    }
    assert!(wrong.is_empty(), "the reader has another default: {wrong:#?}");
    let mut unchecked = Vec::new();
    visit(&schema, "", &mut |place, node| {
        for (key, property) in node["properties"].as_object().into_iter().flatten() {
            if property.get("default").is_some() && !checked.contains(&std::ptr::from_ref(property).addr()) {
                unchecked.push(format!("{place}: {key}"));
            }
        }
    });
    assert!(unchecked.is_empty(), "defaults that no sample shows: {unchecked:#?}");
}

/// The path of every mapping in a value.
fn mappings(value: &Value) -> Vec<String> {
    let mut paths = vec![String::new()];
    for (key, inner) in value.as_object().into_iter().flatten().filter(|(_, inner)| inner.is_object()) {
        let below = mappings(inner).into_iter();
        paths.extend(below.map(|path| if path.is_empty() { key.clone() } else { format!("{key}.{path}") }));
    }
    paths
}

fn pointer(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!("/{}", path.replace('.', "/")) }
}

#[test]
fn documentation_has_every_key_of_the_schema() {
    let page = std::fs::read_to_string(root().join("docs/CONFIGURATION.md")).unwrap();
    let mut missing = BTreeSet::new();
    visit(&config::schema(READERS), "", &mut |place, node| {
        for key in node["properties"].as_object().into_iter().flat_map(Map::keys) {
            let rows = [format!("`{key}`"), format!("`{key}."), format!(".{key}`"), format!(" {key}: ")];
            if !rows.iter().any(|row| page.contains(row)) {
                missing.insert(format!("{place}: {key}"));
            }
        }
    });
    assert!(missing.is_empty(), "docs/CONFIGURATION.md has no {missing:#?}");
}

#[test]
fn schema_rejects_wrong_keys_words_and_types() {
    let schema = validator();
    for text in [
        "{}",
        "services: {}",
        "services: { a b: { upstream: 'https://a', auth: { type: bearer, token: t } } }",
        "services: { a: { upstream: 'https://a' } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearr, token: t } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: 7 } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: { files: x } } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: t }, timeouts: { total: 5 } } }",
        "services: { a: { upstream: 'https://a', auth: { type: bearer, token: t }, timeout: {} } }",
        "services: { a: { upstream: 'https://a', auth: { type: header } } }",
        "services: { a: { upstream: 'https://a', auth: { type: oauth2, grant_type: password, token_url: 'https://a', \
         client_id: a, username: a } } }",
        "services: { a: { upstream: 'https://a', auth: { type: oauth2, grant_type: client_credentials, \
         token_url: 'https://a', client_id: a, client_secret: s, username: a } } }",
        "services: { a: { upstream: 'https://a', auth: { type: oauth2, grant_type: client_credentials, \
         client_id: a, client_secret: s } } }",
    ] {
        let value: Value = serde_yaml::from_str(text).unwrap();
        assert!(!schema.is_valid(&value), "{text}");
        assert!(Config::parse(text, "a.yaml", READERS).is_err(), "{text}");
    }
}

/// The schemas of the value at a path: several, if there is a choice.
fn at<'a>(schema: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut places = alternatives(schema, schema);
    for step in path.split('.').filter(|step| !step.is_empty()) {
        let (name, is_item) = step.split_once('[').map_or((step, false), |(name, _)| (name, true));
        let next =
            |place: &&'a Value| place["properties"].get(name).or_else(|| place.get("additionalProperties"));
        let mut below: Vec<&Value> =
            places.iter().filter_map(next).flat_map(|next| alternatives(schema, next)).collect();
        if is_item {
            below = below
                .iter()
                .filter_map(|place| place.get("items"))
                .flat_map(|items| alternatives(schema, items))
                .collect();
        }
        places = below;
    }
    places
}

/// A schema, the schemas that it refers to, and its alternatives.
fn alternatives<'a>(schema: &'a Value, node: &'a Value) -> Vec<&'a Value> {
    let mut all = vec![node];
    if let Some(name) = node["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").unwrap();
        let target = schema["$defs"].get(name).unwrap_or_else(|| panic!("$defs has no {name}"));
        all.extend(alternatives(schema, target));
    }
    for choice in ["anyOf", "oneOf", "allOf"] {
        for node in node[choice].as_array().into_iter().flatten() {
            all.extend(alternatives(schema, node));
        }
    }
    all
}

/// Visits every schema of a mapping in a schema.
fn visit<'a>(node: &'a Value, place: &str, each: &mut impl FnMut(&str, &'a Value)) {
    match node {
        Value::Object(entries) => {
            if node["properties"].is_object() {
                each(place, node);
            }
            for (key, below) in entries {
                visit(below, &format!("{place}/{key}"), each);
            }
        }
        Value::Array(items) => items.iter().for_each(|below| visit(below, place, each)),
        _ => {}
    }
}
