//! A request for a review: `AdmissionReview` of `admission.k8s.io/v1`, as the API server sends it. Everything
//! in it is hostile: anybody who reaches the port can send one.

use serde::Deserialize;
use serde_json::Value;

use crate::oauth2::sanitize;

/// The version of the API that is spoken.
pub(super) const API_VERSION: &str = "admission.k8s.io/v1";
/// The kind of request and response.
pub(super) const KIND: &str = "AdmissionReview";

/// Longest `uid`, in bytes: that of the API server is a UUID.
const MAX_UID_BYTES: usize = 128;

/// A request that is about a new pod.
#[derive(Debug)]
pub(super) struct Review {
    /// Identifies the request; the response repeats it.
    pub(super) uid: String,
    /// The namespace of the pod. Its object has none if a controller creates it.
    pub(super) namespace: String,
    /// Nothing is stored in the end.
    pub(super) is_dry_run: bool,
    /// The pod, as the API server has it.
    pub(super) pod: Value,
}

/// Why a request cannot be reviewed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Malformed {
    /// There is no request that could be answered.
    NoReview(String),
    /// The request with this `uid` is not about a new pod.
    NotAPod {
        /// The `uid` of the request.
        uid: String,
        /// What it is about.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    request: Option<WireRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireRequest {
    #[serde(default)]
    uid: String,
    kind: GroupVersionKind,
    #[serde(default)]
    sub_resource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    operation: String,
    #[serde(default)]
    dry_run: Option<bool>,
    #[serde(default)]
    object: Value,
}

#[derive(Deserialize, PartialEq, Eq)]
struct GroupVersionKind {
    #[serde(default)]
    group: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    kind: String,
}

impl Review {
    /// Reads the body of a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, Malformed> {
        let no_review = |why: String| Malformed::NoReview(why);
        // All of it: serde_json does not look into strings of fields that it skips (RFC 8259, section 8.1).
        let body =
            std::str::from_utf8(body).map_err(|_| no_review("not a review: it is not UTF-8".into()))?;
        // serde_json ends at a depth of 128, so that the stack is bounded.
        let wire: Wire = serde_json::from_str(body)
            .map_err(|error| no_review(format!("not a review: {}", sanitize(&error.to_string()))))?;
        if wire.api_version != API_VERSION || wire.kind != KIND {
            let (version, kind) = (sanitize(&wire.api_version), sanitize(&wire.kind));
            return Err(no_review(format!(
                "expected {KIND} of {API_VERSION}, found `{kind}` of `{version}`"
            )));
        }
        let request = wire.request.ok_or_else(|| no_review("the review has no request".into()))?;
        if request.uid.is_empty() || request.uid.len() > MAX_UID_BYTES {
            return Err(no_review("the request has no usable `uid`".into()));
        }
        let uid = request.uid.clone();
        if let Some(why) = request.problem() {
            return Err(Malformed::NotAPod { uid, why });
        }
        let mut pod = request.object;
        // Of what kind it is, the request says.
        (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
        let is_dry_run = request.dry_run.unwrap_or(false);
        Ok(Self { uid, namespace: request.namespace, is_dry_run, pod })
    }
}

impl WireRequest {
    /// Why this is not about a new pod.
    fn problem(&self) -> Option<String> {
        let GroupVersionKind { group, version, kind } = &self.kind;
        if (group.as_str(), version.as_str(), kind.as_str()) != ("", "v1", "Pod")
            || !self.sub_resource.is_empty()
        {
            let [group, version, kind, part] =
                [group, version, kind, &self.sub_resource].map(|text| sanitize(text));
            return Some(format!(
                "expected a Pod of v1, found `{kind}` of `{group}/{version}` (`{part}`): the rules of the webhook should \
                 name `pods` alone"
            ));
        }
        if self.operation != "CREATE" {
            let operation = sanitize(&self.operation);
            return Some(format!("expected the operation CREATE, found `{operation}`"));
        }
        if !self.object.is_object() {
            return Some("the request has no object".into());
        }
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    fn request() -> Value {
        json!({
            "apiVersion": API_VERSION, "kind": KIND,
            "request": {
                "uid": "705ab4f5", "kind": { "group": "", "version": "v1", "kind": "Pod" },
                "resource": { "group": "", "version": "v1", "resource": "pods" },
                "namespace": "shop", "operation": "CREATE", "userInfo": {}, "dryRun": true,
                "object": { "metadata": { "name": "app" }, "spec": { "containers": [{ "name": "app" }] } },
                "oldObject": null, "options": {},
            },
        })
    }

    fn with(pointer: &str, value: Value) -> Vec<u8> {
        let mut request = request();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        request.pointer_mut(parent).unwrap()[name] = value;
        request.to_string().into_bytes()
    }

    #[test]
    fn review_of_a_new_pod_is_read() {
        let review = Review::read(request().to_string().as_bytes()).unwrap();
        assert_eq!(
            (review.uid.as_str(), review.namespace.as_str(), review.is_dry_run),
            ("705ab4f5", "shop", true)
        );
        assert_eq!((&review.pod["kind"], &review.pod["metadata"]["name"]), (&json!("Pod"), &json!("app")));
        let review = Review::read(&with("/request/object/kind", json!("Deployment"))).unwrap();
        assert_eq!(review.pod["kind"], "Pod", "the request says what it is about");
        let review = Review::read(&with("/request/dryRun", Value::Null)).unwrap();
        assert!(!review.is_dry_run);
    }

    #[test]
    fn review_of_another_object_is_rejected_with_its_uid() {
        for (body, expected) in [
            (with("/request/kind/group", json!("apps")), "expected a Pod"),
            (with("/request/kind/version", json!("v2")), "expected a Pod"),
            (with("/request/kind/kind", json!("Node")), "`Node`"),
            (with("/request/subResource", json!("status")), "(`status`)"),
            (with("/request/operation", json!("UPDATE")), "`UPDATE`"),
            (with("/request/operation", json!("CREATE\n\u{1b}[2J")), "`CREATE??[2J`"),
            (with("/request/object", Value::Null), "no object"),
            (with("/request/object", json!([])), "no object"),
        ] {
            let Err(Malformed::NotAPod { uid, why }) = Review::read(&body) else { panic!("{expected}") };
            assert!(uid == "705ab4f5" && why.contains(expected), "{why}");
        }
    }

    #[test]
    fn hostile_body_is_no_review() {
        let deep = |depth: usize| {
            let nested = "[".repeat(depth) + &"]".repeat(depth);
            let text = request()
                .to_string()
                .replace("\"containers\":[{\"name\":\"app\"}]", &format!("\"x\":{nested}"));
            assert!(text.contains(&nested));
            text.into_bytes()
        };
        let not_utf8 = |byte| if byte == b'!' { 0xff } else { byte };
        assert!(Review::read(&deep(100)).is_ok());
        let bodies: Vec<Vec<u8>> = vec![
            vec![],
            b"null".to_vec(),
            b"[]".to_vec(),
            b"{}".to_vec(),
            vec![0xff; 64],
            request()
                .to_string()
                .replace("userInfo", "user!nfo")
                .into_bytes()
                .into_iter()
                .map(not_utf8)
                .collect(),
            request().to_string().as_bytes()[..200].to_vec(),
            deep(200),
            deep(500_000),
            with("/apiVersion", json!("admission.k8s.io/v1beta1")),
            with("/kind", json!("Status")),
            with("/request", Value::Null),
            with("/request/uid", Value::Null),
            with("/request/uid", json!("")),
            with("/request/uid", json!("u".repeat(129))),
            with("/request/kind", json!("Pod")),
            with("/request/dryRun", json!("yes")),
        ];
        for body in bodies {
            let start = String::from_utf8_lossy(&body[..body.len().min(80)]).into_owned();
            assert!(matches!(Review::read(&body), Err(Malformed::NoReview(_))), "{start}");
        }
    }
}
