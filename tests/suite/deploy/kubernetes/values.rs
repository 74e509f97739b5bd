//! Values of the chart that are taken away: a `null`, which removes a default, and an empty list.

use std::fs;

use serde_json::json;

use super::objects::{find, parse};
use super::rendered::chart;
use crate::harness::helm;

/// What the templates cannot do without is required, because Helm removes a value that is `null` before it is compared with the schema.
/// Only quantities and labels may be removed.
#[test]
fn value_that_is_null_is_named_by_the_schema() {
    let text = |name| fs::read_to_string(chart().join(name)).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&text("values.schema.json")).unwrap();
    let values: serde_json::Value = serde_yaml::from_str(&text("values.yaml")).unwrap();
    let required = required(&schema, &values, "");
    for key in ["webhook", "gateway.networkPolicy.callers", "image.repository", "store.tls"] {
        assert!(required.iter().any(|found| found == key), "{key}: {required:?}");
    }
    let output = render(&json!({ "gateway": { "networkPolicy": null } }));
    assert!(output.contains("missing property 'networkPolicy'"), "{output}");
}

/// The keys that are required. Panics at a key that is not, if its object is closed.
fn required(schema: &serde_json::Value, values: &serde_json::Value, path: &str) -> Vec<String> {
    let (Some(values), false) = (values.as_object(), schema["additionalProperties"] != false) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (key, value) in values {
        let path = format!("{path}{key}");
        let property = &schema["properties"][key];
        let may_be_null = property["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
        let is_required =
            schema["required"].as_array().is_some_and(|required| required.contains(&json!(key)));
        assert!(is_required || may_be_null, "{path} is not required");
        found.extend(self::required(property, value, &format!("{path}.")));
        found.push(path);
    }
    found
}

#[test]
fn network_policy_without_peers_allows_none() {
    let objects = parse(&render(&json!({
        "gateway": {
            "enabled": true,
            "tls": { "plaintext": true },
            "config": { "services": { "a": {} } },
            "networkPolicy": { "callers": [], "prometheus": [] },
        },
        "webhook": { "networkPolicy": { "prometheus": [] } },
        "store": { "enabled": false },
    })));
    for component in ["gateway", "webhook"] {
        let spec = &find(&objects, "NetworkPolicy", &format!("sidekey-{component}"))["spec"];
        assert_eq!(spec["policyTypes"].as_sequence().unwrap().len(), 2, "{component}");
        let rules = |direction: &str| spec[direction].as_sequence().cloned().unwrap_or_default();
        for (rule, peers) in rules("ingress")
            .iter()
            .map(|rule| (rule, "from"))
            .chain(rules("egress").iter().map(|rule| (rule, "to")))
        {
            let has = |key: &str| rule[key].as_sequence().is_some_and(|list| !list.is_empty());
            // The port of the webhook is open to the API server, whose address no chart knows.
            let is_webhook = rule["ports"][0]["port"] == "webhook";
            assert!(has("ports") && (has(peers) || is_webhook), "{component}: {rule:?}");
        }
    }
}

/// What `helm template` writes to standard output, and to standard error.
fn render(values: &serde_json::Value) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, values.to_string()).unwrap();
    let output = helm(["template".into(), "sidekey".into(), chart(), "-f".into(), file.path().to_owned()]);
    let text = if output.status.success() { output.stdout } else { output.stderr };
    String::from_utf8(text).unwrap()
}
