//! Which kinds of object have a Pod, and where.

use serde_json::Value;

/// A kind with a Pod in it.
struct Kind {
    name: &'static str,
    /// API groups that have this kind. The empty one is that of `apiVersion: v1`.
    groups: &'static [&'static str],
    /// A JSON Pointer to the Pod or its template.
    pod: &'static str,
}

const KINDS: [Kind; 8] = [
    Kind { name: "Pod", groups: &[""], pod: "" },
    Kind { name: "ReplicationController", groups: &[""], pod: "/spec/template" },
    Kind { name: "Deployment", groups: &["apps", "extensions"], pod: "/spec/template" },
    Kind { name: "ReplicaSet", groups: &["apps", "extensions"], pod: "/spec/template" },
    Kind { name: "DaemonSet", groups: &["apps", "extensions"], pod: "/spec/template" },
    Kind { name: "StatefulSet", groups: &["apps"], pod: "/spec/template" },
    Kind { name: "Job", groups: &["batch"], pod: "/spec/template" },
    Kind { name: "CronJob", groups: &["batch"], pod: "/spec/jobTemplate/spec/template" },
];

/// Where the Pod of an object is: a JSON Pointer to what has `metadata` and `spec`. `None` for a kind without one.
pub(super) fn pod_of(object: &Value) -> Option<&'static str> {
    let kind = object.get("kind")?.as_str()?;
    let version = object.get("apiVersion")?.as_str()?;
    let group = version.split_once('/').map_or("", |(group, _)| group);
    let kind = KINDS.iter().find(|known| known.name == kind && known.groups.contains(&group))?;
    Some(kind.pod)
}

/// Whether an object's Pods run to an end of their own. The Pod of a Job says so as well.
pub(super) fn is_job(object: &Value) -> bool {
    let is_job =
        |object: &Value| matches!(object.get("kind").and_then(Value::as_str), Some("Job" | "CronJob"));
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    is_job(object) || owners.is_some_and(|owners| owners.iter().any(is_job))
}

/// Where the objects of a list are: a JSON Pointer to an array. `None` if this is no list.
pub(super) fn items_of(object: &Value) -> Option<&'static str> {
    let kind = object.get("kind")?.as_str()?;
    let is_list = kind
        .strip_suffix("List")
        .is_some_and(|of| of.is_empty() || KINDS.iter().any(|known| known.name == of));
    (is_list && object.get("items").is_some_and(Value::is_array)).then_some("/items")
}

/// The kind that the items of a typed list have if they do not say so themselves: `Deployment` of a `DeploymentList`.
pub(super) fn item_kind(list: &Value) -> Option<&str> {
    list.get("kind")?.as_str()?.strip_suffix("List").filter(|of| !of.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pod_is_found_by_kind_and_group() {
        let pod = |version: &str, kind: &str| pod_of(&json!({"apiVersion": version, "kind": kind}));
        assert_eq!(pod("v1", "Pod"), Some(""));
        assert_eq!(pod("apps/v1", "Deployment"), Some("/spec/template"));
        assert_eq!(pod("extensions/v1beta1", "DaemonSet"), Some("/spec/template"));
        for version in ["batch/v1", "batch/v1beta1"] {
            assert_eq!(pod(version, "CronJob"), Some("/spec/jobTemplate/spec/template"));
        }
        for (version, kind) in [
            ("v1", "Service"),
            ("batch.volcano.sh/v1alpha1", "Job"),
            ("v1", "Deployment"),
            ("apps/v1", "Pod"),
        ] {
            assert_eq!(pod(version, kind), None, "{version} {kind}");
        }
        for object in [json!(null), json!([]), json!({"kind": 1, "apiVersion": "v1"}), json!({"kind": "Pod"})]
        {
            assert_eq!(pod_of(&object), None, "{object}");
        }
    }

    #[test]
    fn list_has_items_of_known_kinds() {
        let items = |kind: &str| items_of(&json!({"apiVersion": "v1", "kind": kind, "items": []}));
        assert_eq!((items("List"), items("DeploymentList")), (Some("/items"), Some("/items")));
        assert_eq!((items("ConfigMapList"), items("Pod")), (None, None));
        assert_eq!(items_of(&json!({"kind": "List"})), None);
        assert_eq!(item_kind(&json!({"kind": "PodList"})), Some("Pod"));
        assert_eq!(item_kind(&json!({"kind": "List"})), None);
    }
}
