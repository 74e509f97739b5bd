//! What is done with one object.

use serde_json::{Map, Value, json};

use super::annotations::{self, AnnotationError, INJECT, INJECTED, PREFIX};
use super::kinds;
use super::operation::{Operation, token};
use super::pod::{Pod, name_of};
use super::proxy_env::ProxyVariables;
use super::refusal::{self, Refusal};
use super::settings::Settings;
use super::sidecar;

/// What kubectl shows the log of if no container is named.
pub(super) const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// What is done with one object.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// It gets the sidecar.
    Inject(Injection),
    /// It has the sidecar.
    AlreadyInjected,
    /// It does not get the sidecar.
    Skip(Refusal),
}

/// How an object gets the sidecar.
#[derive(Debug, Clone, PartialEq)]
pub struct Injection {
    /// Where the Pod is in the object: a JSON Pointer to what has `metadata` and `spec`.
    pub pod: &'static str,
    /// The operations on the object, in order. Each place that one of them names is in the object as it was, unless an array's index 0:
    /// none depends on another.
    pub operations: Vec<Operation>,
    /// What the operator should know, one sentence each.
    pub warnings: Vec<String>,
}

impl Injection {
    /// Adds one more annotation to those that the operations add to the Pod.
    pub(super) fn annotate(&mut self, name: &str, text: &str) {
        let annotations = format!("{}/metadata/annotations", self.pod);
        let metadata = format!("{}/metadata", self.pod);
        let members = self.operations.iter_mut().find_map(|operation| {
            let Operation::Add { path, value } = operation else { return None };
            if *path == annotations {
                return value.as_object_mut();
            }
            let value = Some(value).filter(|_| *path == metadata)?;
            value.get_mut("annotations")?.as_object_mut()
        });
        match members {
            Some(members) => drop(members.insert(name.to_owned(), text.into())),
            None => self
                .operations
                .push(Operation::Add { path: format!("{annotations}/{}", token(name)), value: text.into() }),
        }
    }
}

/// Why it cannot be decided what is done with an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// An annotation is wrong.
    #[error(transparent)]
    Annotation(#[from] AnnotationError),
    /// A part of the Pod has another form than Kubernetes expects.
    #[error("`{0}` must be {1}")]
    Form(String, &'static str),
}

/// Decides what is done with an object: a Pod, or one that makes Pods.
///
/// `namespace` has the annotations of its namespace, if they are known; those of the Pod win over them.
///
/// # Errors
///
/// If an annotation of Sidekey's is wrong, or the Pod has a form that Kubernetes rejects.
pub fn decide(
    object: &Value,
    settings: &Settings,
    namespace: Option<&Map<String, Value>>,
) -> Result<Decision, InjectError> {
    let Some(at) = kinds::pod_of(object) else { return Ok(Decision::Skip(Refusal::NoPod)) };
    let Some(template) = object.pointer(at) else { return Ok(Decision::Skip(Refusal::NoContainers)) };
    let pod = Pod::new(template);
    let own = pod.metadata("annotations");
    if own.is_some_and(|annotations| annotations.contains_key(INJECTED)) {
        return Ok(Decision::AlreadyInjected);
    }
    if pod.list("containers").is_empty() {
        return Ok(Decision::Skip(Refusal::NoContainers));
    }
    // A label is what the selector of a webhook sees.
    let label = pod.metadata("labels").and_then(|labels| labels.get_key_value(INJECT));
    let label = label.map(|(name, value)| Map::from_iter([(name.clone(), value.clone())]));
    let asked = annotations::read(settings, [namespace, label.as_ref(), own])?;
    let settings = &asked.settings;
    match asked.inject {
        Some(false) => return Ok(Decision::Skip(Refusal::Disabled)),
        None if settings.only_if_enabled => return Ok(Decision::Skip(Refusal::NotEnabled)),
        _ => {}
    }
    if let Some(refusal) = refusal::of_pod(pod, settings) {
        return Ok(Decision::Skip(refusal));
    }
    check_form(template, at)?;
    let (operations, mut warnings) = operations(object, pod, at, settings);
    warnings.extend(warnings_about(object, pod, at, settings));
    Ok(Decision::Inject(Injection { pod: at, operations, warnings }))
}

/// Checks that what is added to has the form that it must have.
fn check_form(template: &Value, at: &str) -> Result<(), InjectError> {
    let check = |path: &str, is_right: fn(&Value) -> bool, expected| {
        let is_wrong = template.pointer(path).is_some_and(|value| !value.is_null() && !is_right(value));
        if is_wrong { Err(InjectError::Form(format!("{at}{path}"), expected)) } else { Ok(()) }
    };
    check("/metadata", Value::is_object, "a mapping")?;
    check("/metadata/annotations", Value::is_object, "a mapping")?;
    for list in ["initContainers", "containers", "volumes"] {
        check(&format!("/spec/{list}"), Value::is_array, "a list")?;
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in Pod::new(template).list(list).iter().enumerate() {
            let path = format!("/spec/{list}/{index}");
            if !container.is_object() {
                return Err(InjectError::Form(format!("{at}{path}"), "a mapping"));
            }
            check(&format!("{path}/env"), Value::is_array, "a list")?;
        }
    }
    Ok(())
}

fn operations(object: &Value, pod: Pod<'_>, at: &str, settings: &Settings) -> (Vec<Operation>, Vec<String>) {
    let is_native = settings.is_native();
    let (mut operations, mut warnings) = (Vec::new(), Vec::new());
    // These name containers by index, and go before one is inserted.
    if let Some(env) = ProxyVariables::new(settings) {
        // In the classic shape the sidecar is not there while init containers run.
        let lists: &[&str] = if is_native { &["initContainers", "containers"] } else { &["containers"] };
        for list in lists {
            let (more, about) = env.operations(pod, at, list);
            operations.extend(more);
            warnings.extend(about);
        }
    }
    let list = if is_native { "initContainers" } else { "containers" };
    let container = sidecar::container(settings, kinds::is_job(object));
    operations.extend(prepend(pod, at, list, vec![container]));
    operations.extend(prepend(pod, at, "volumes", sidecar::volumes(settings)));
    operations.extend(annotate(pod, at, is_native));
    (operations, warnings)
}

/// Puts items in front of a list of the Pod's `spec`, or makes the list.
fn prepend(pod: Pod<'_>, at: &str, list: &str, items: Vec<Value>) -> Vec<Operation> {
    let path = format!("{at}/spec/{list}");
    if pod.list(list).is_empty() {
        return vec![Operation::Add { path, value: items.into() }];
    }
    let insert = |value| Operation::Add { path: format!("{path}/0"), value };
    items.into_iter().rev().map(insert).collect()
}

fn annotate(pod: Pod<'_>, at: &str, is_native: bool) -> Vec<Operation> {
    let own = pod.metadata("annotations").filter(|own| !own.is_empty());
    let mut new = Map::from_iter([(INJECTED.to_owned(), env!("CARGO_PKG_VERSION").into())]);
    if !is_native && !own.is_some_and(|own| own.contains_key(DEFAULT_CONTAINER)) {
        let app = pod.list("containers").first().map_or("", name_of);
        new.insert(DEFAULT_CONTAINER.to_owned(), app.into());
    }
    if own.is_some() {
        let add = |(name, value): (String, Value)| Operation::Add {
            path: format!("{at}/metadata/annotations/{}", token(&name)),
            value,
        };
        return new.into_iter().map(add).collect();
    }
    if pod.has_metadata() {
        return vec![Operation::Add { path: format!("{at}/metadata/annotations"), value: new.into() }];
    }
    vec![Operation::Add { path: format!("{at}/metadata"), value: json!({ "annotations": new }) }]
}

/// What works otherwise than may be expected.
fn warnings_about(object: &Value, pod: Pod<'_>, at: &str, settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if pod.is_on("shareProcessNamespace") {
        warnings.push(
            "`shareProcessNamespace` lets the app see Sidekey's process: a root app can read its files"
                .into(),
        );
    }
    let outside = object.pointer("/metadata/annotations").and_then(Value::as_object);
    for name in outside.into_iter().flatten().map(|(name, _)| name) {
        if !at.is_empty() && name.starts_with(PREFIX) {
            warnings
                .push(format!("`{name}` has no effect here: it belongs into `metadata` of the Pod template"));
        }
    }
    if settings.wait_before_exit.is_some() && settings.is_native() {
        warnings.push("`wait-before-exit` has no effect: a native sidecar ends after the app".into());
    }
    warnings
}

#[cfg(test)]
mod tests;
