//! What the webhook says about a pod: the decision of `inject`, as an answer to the API server.
//!
//! A pod that asks for its sidecar itself, by label or annotation, gets it or is denied. One that is asked
//! for by its namespace, and that cannot have a sidecar, starts without one, and the user is warned.

use serde_json::Value;

use super::response::Answer;
use crate::inject::{CONTAINER, Decision, INJECT, INJECTED, Refusal, Settings, decide};
use crate::metrics::ReviewOutcome;

/// The answer about one pod.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) answer: Answer,
    pub(super) warnings: Vec<String>,
    pub(super) outcome: ReviewOutcome,
}

/// Decides about a pod.
pub(super) fn verdict(pod: &Value, settings: &Settings) -> Verdict {
    match decide(pod, settings, None) {
        Ok(Decision::Inject(injection)) => Verdict {
            answer: Answer::Allowed(injection.operations),
            warnings: injection.warnings,
            outcome: ReviewOutcome::Injected,
        },
        Ok(Decision::AlreadyInjected) if has_sidecar(pod) => allowed(ReviewOutcome::Unchanged, vec![]),
        Ok(Decision::AlreadyInjected) => denied(format!(
            "the pod has the annotation `{INJECTED}` and no container `{CONTAINER}`; remove the annotation"
        )),
        Ok(Decision::Skip(Refusal::Disabled)) => allowed(ReviewOutcome::Skipped, vec![]),
        Ok(Decision::Skip(refusal)) => {
            if asks(pod) {
                return denied(format!("the pod asks for a sidecar and cannot have one: {refusal}"));
            }
            let warning = format!("no sidecar was added, although the namespace asks for one: {refusal}");
            allowed(ReviewOutcome::Skipped, vec![warning])
        }
        Err(error) => denied(error.to_string()),
    }
}

/// The answer about a pod of a namespace whose pods never get a sidecar.
pub(super) fn never() -> Verdict {
    let warning = "no sidecar was added: pods of this namespace never get one".to_owned();
    allowed(ReviewOutcome::Skipped, vec![warning])
}

fn allowed(outcome: ReviewOutcome, warnings: Vec<String>) -> Verdict {
    Verdict { answer: Answer::Allowed(vec![]), warnings, outcome }
}

fn denied(message: String) -> Verdict {
    Verdict { answer: Answer::Denied(403, message), warnings: vec![], outcome: ReviewOutcome::Denied }
}

/// Whether the pod itself asks for the sidecar.
fn asks(pod: &Value) -> bool {
    ["labels", "annotations"].iter().any(|part| pod["metadata"][part][INJECT] == "enabled")
}

/// Whether the pod has a container with the name of the sidecar.
fn has_sidecar(pod: &Value) -> bool {
    let of = |list: &str| pod["spec"][list].as_array().map(Vec::as_slice).unwrap_or_default();
    of("initContainers").iter().chain(of("containers")).any(|container| container["name"] == CONTAINER)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::inject::apply;

    fn pod(metadata: &Value, spec: &Value) -> Value {
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
    }

    fn of(pod: &Value) -> (ReviewOutcome, String) {
        let Verdict { answer, warnings, outcome } = verdict(pod, &Settings::default());
        let text = match answer {
            Answer::Denied(status, message) => format!("{status} {message}"),
            Answer::Allowed(_) => warnings.join(" "),
        };
        (outcome, text)
    }

    #[test]
    fn review_of_what_was_injected_changes_nothing() {
        let mut pod =
            pod(&json!({ "labels": { INJECT: "enabled" } }), &json!({ "containers": [{ "name": "app" }] }));
        let first = verdict(&pod, &Settings::default());
        let Answer::Allowed(operations) = first.answer else { panic!("denied") };
        assert_eq!(first.outcome, ReviewOutcome::Injected);
        apply(&mut pod, &operations).unwrap();
        assert!(has_sidecar(&pod));
        let again = verdict(&pod, &Settings::default());
        assert!(matches!(again.answer, Answer::Allowed(operations) if operations.is_empty()));
        assert_eq!(again.outcome, ReviewOutcome::Unchanged);
    }

    #[test]
    fn pod_that_asks_and_cannot_have_a_sidecar_is_denied() {
        let host = json!({ "hostNetwork": true, "containers": [{ "name": "app" }] });
        for part in ["labels", "annotations"] {
            let (outcome, text) = of(&pod(&json!({ part: { INJECT: "enabled" } }), &host));
            assert_eq!(outcome, ReviewOutcome::Denied);
            assert!(
                text.starts_with("403 the pod asks for a sidecar and cannot have one: ")
                    && text.contains("hostNetwork"),
                "{text}"
            );
        }
        let (outcome, text) = of(&pod(&json!({}), &host));
        assert_eq!(outcome, ReviewOutcome::Skipped, "its namespace asks");
        assert!(text.starts_with("no sidecar was added"), "{text}");
        assert_eq!(
            of(&pod(&json!({ "labels": { INJECT: "disabled" } }), &host)),
            (ReviewOutcome::Skipped, String::new())
        );
    }

    #[test]
    fn wrong_annotation_is_denied_by_its_name() {
        let spec = json!({ "containers": [{ "name": "app" }] });
        for (name, value) in [
            ("sidekey.io/inject", json!("yes")),
            ("sidekey.io/memory-limit", json!("lots")),
            ("sidekey.io/imgae", json!("x")),
        ] {
            let (outcome, text) = of(&pod(&json!({ "annotations": { name: value } }), &spec));
            assert!(outcome == ReviewOutcome::Denied && text.contains(name), "{text}");
        }
    }

    #[test]
    fn annotation_of_the_sidecar_without_a_sidecar_is_denied() {
        let (outcome, text) = of(&pod(
            &json!({ "annotations": { INJECTED: "0.1.0" } }),
            &json!({ "containers": [{ "name": "app" }] }),
        ));
        assert_eq!(outcome, ReviewOutcome::Denied);
        assert!(text.contains("`sidekey.io/injected` and no container `sidekey`"), "{text}");
    }
}
