//! Manifests as values: finding an object, its Pod, its containers.

use serde::Deserialize as _;
use serde_yaml::{Deserializer, Value};

/// The objects of a text with several documents.
pub fn parse(text: &str) -> Vec<Value> {
    let documents = Deserializer::from_str(text).map(|document| Value::deserialize(document).unwrap());
    documents.filter(|document| !document.is_null()).collect()
}

/// The object of a kind and a name.
pub fn find<'o>(objects: &'o [Value], kind: &str, name: &str) -> &'o Value {
    let found = objects.iter().find(|object| kind_of(object) == kind && name_of(object) == name);
    found.unwrap_or_else(|| panic!("no {kind} {name}"))
}

pub fn kind_of(object: &Value) -> &str {
    object["kind"].as_str().expect("a kind")
}

pub fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("a name")
}

/// Kind and name, for messages.
pub fn title(object: &Value) -> String {
    format!("{}/{}", kind_of(object), name_of(object))
}

/// The Pod of an object, or the template of its Pods: what has `metadata` and `spec`.
pub fn pod(object: &Value) -> Option<&Value> {
    match kind_of(object) {
        "Pod" => Some(object),
        "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" => {
            Some(&object["spec"]["template"])
        }
        "CronJob" => Some(&object["spec"]["jobTemplate"]["spec"]["template"]),
        _ => None,
    }
}

/// The items of a list; none, if there is no list.
pub fn list<'o>(object: &'o Value, key: &str) -> &'o [Value] {
    object.get(key).and_then(Value::as_sequence).map_or(&[], Vec::as_slice)
}

/// All containers of the `spec` of a Pod, in the order in which they start.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    list(spec, "initContainers").iter().chain(list(spec, "containers"))
}

/// The container of a name.
pub fn container<'o>(spec: &'o Value, name: &str) -> &'o Value {
    containers(spec)
        .find(|container| container["name"] == name)
        .unwrap_or_else(|| panic!("no container {name}"))
}

/// The node at a dotted path, if there is one.
pub fn at<'o>(node: &'o Value, path: &str) -> Option<&'o Value> {
    path.split('.').try_fold(node, |node, key| node.get(key))
}
