//! Objects of other projects (the Prometheus operator, cert-manager, External Secrets, …) against the schemas of those projects.
//!
//! tests/data/crds has the schemas, and says what was left out of them: the rules in CEL.

use std::collections::BTreeMap;
use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

use super::objects::{kind_of, title};
use super::rendered::all;

/// Kinds of other projects.
pub const CUSTOM: [&str; 8] = [
    "BackendTLSPolicy",
    "Certificate",
    "ExternalSecret",
    "HTTPRoute",
    "PodMonitor",
    "PrometheusRule",
    "SecretProviderClass",
    "SecretStore",
];

/// The definition of a kind.
struct Definition {
    api_version: Value,
    spec: Validator,
}

impl Definition {
    fn of(kind: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/crds").join(format!("{kind}.json"));
        let mut file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        assert_eq!(file["kind"], kind);
        let mut spec = file["spec"].take();
        close(&mut spec);
        Self { api_version: file["apiVersion"].take(), spec: jsonschema::validator_for(&spec).unwrap() }
    }

    /// What is wrong with an object.
    fn problems(&self, object: &Value) -> Vec<String> {
        let mut problems: Vec<_> = self
            .spec
            .iter_errors(&object["spec"])
            .map(|error| format!("spec{}: {error}", error.instance_path))
            .collect();
        if object["apiVersion"] != self.api_version {
            problems.push(format!("apiVersion {}, not {}", object["apiVersion"], self.api_version));
        }
        let keys = object.as_object().unwrap().keys();
        let is_known = |key: &&String| ["apiVersion", "kind", "metadata", "spec"].contains(&key.as_str());
        problems.extend(keys.filter(|key| !is_known(key)).map(|key| format!("unknown field {key}")));
        problems
    }
}

/// Rejects fields that the schema does not name, as strict validation of the API server does. It would drop them otherwise.
fn close(schema: &mut Value) {
    let Value::Object(map) = schema else { return };
    let is_open = map.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true));
    if map.get("properties").is_some_and(Value::is_object) && !is_open {
        map.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    for (key, value) in map {
        // The keys of `properties` are names of fields. What `anyOf` and its like say does not name every field.
        match (key.as_str(), value) {
            ("properties", Value::Object(fields)) => fields.values_mut().for_each(close),
            ("items" | "additionalProperties", value) => close(value),
            _ => {}
        }
    }
}

/// Every object of a kind that is rendered from deploy/, once.
fn rendered_of(kind: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for rendered in all() {
        for object in rendered.objects.iter().filter(|object| kind_of(object) == kind) {
            found.insert(
                format!("{}: {}", rendered.name, title(object)),
                serde_json::to_value(object).unwrap(),
            );
        }
    }
    found
}

#[test]
fn custom_resources_satisfy_the_schemas_of_their_projects() {
    for kind in CUSTOM {
        let definition = Definition::of(kind);
        let objects = rendered_of(kind);
        assert!(!objects.is_empty(), "no {kind} is rendered any more");
        for (title, object) in objects {
            assert_eq!(definition.problems(&object), Vec::<String>::new(), "{title}");
        }
    }
}

#[test]
fn custom_schemas_detect_a_wrong_field() {
    // A pointer to a place, and what is put there: a misspelt field, a wrong type, a value that is none of a list.
    for (kind, pointer, field, value, expected) in [
        ("PodMonitor", "/spec/podMetricsEndpoints/0", "pathh", Value::from("/metrics"), "pathh"),
        ("PodMonitor", "/spec/podMetricsEndpoints/0", "interval", Value::from("15 seconds"), "interval"),
        ("PrometheusRule", "/spec/groups/0/rules/0", "for", Value::from(60), "for"),
        ("ExternalSecret", "/spec/target", "creationPolicy", Value::from("Own"), "creationPolicy"),
        ("ExternalSecret", "/spec/data/0/remoteRef", "propertty", Value::from("a"), "propertty"),
        ("SecretStore", "/spec/provider/vault", "version", Value::from("v3"), "version"),
        ("SecretProviderClass", "/spec", "parameters", Value::from("a"), "parameters"),
        ("HTTPRoute", "/spec/rules/0/timeouts", "request", Value::from("0"), "request"),
        ("HTTPRoute", "/spec/rules/0/backendRefs/0", "port", Value::from(0), "port"),
        ("BackendTLSPolicy", "/spec/validation", "hostname", Value::from("A_b"), "hostname"),
        ("Certificate", "/spec/privateKey", "algorithm", Value::from("DSA"), "algorithm"),
        ("Certificate", "/spec", "secretname", Value::from("a"), "secretname"),
    ] {
        let definition = Definition::of(kind);
        let objects = rendered_of(kind);
        let mut object = objects
            .into_values()
            .find(|object| object.pointer(pointer).is_some())
            .unwrap_or_else(|| panic!("no {kind} has {pointer}"));
        object.pointer_mut(pointer).unwrap()[field] = value;
        let problems = definition.problems(&object);
        assert!(problems.len() == 1 && problems[0].contains(expected), "{kind} {field}: {problems:?}");
    }
    let mut certificate = rendered_of("Certificate").into_values().next().unwrap();
    certificate["spec"].as_object_mut().unwrap().remove("issuerRef").unwrap();
    certificate["apiVersion"] = "cert-manager.io/v1alpha2".into();
    let problems = Definition::of("Certificate").problems(&certificate);
    assert!(problems.len() == 2 && problems[0].contains("issuerRef"), "{problems:?}");
}

#[test]
fn custom_schemas_are_those_of_the_kinds_that_are_rendered() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/crds");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    let kinds: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(kinds, CUSTOM);
}
