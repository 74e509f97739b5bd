//! What was added to the objects of a document, and its text without that.

use serde_json::Value;

use super::super::annotations::INJECTED;
use super::super::kinds;
use super::super::operation::token;
use super::super::pod::{Pod, name_of};
use super::super::sidecar::{CONFIG_VOLUME, CONTAINER, SECRETS_VOLUME};
use super::document;
use super::document::Object;
use super::edit;
use super::edit::Layout;
use super::remove::Removal;
use super::restore::{Restore, container_key};

/// Whether an object has the sidecar by its own word.
pub(super) fn is_injected(object: &Value) -> bool {
    let annotations = pod_of(object).and_then(|(_, pod)| pod.metadata("annotations"));
    annotations.is_some_and(|annotations| annotations.contains_key(INJECTED))
}

fn pod_of(object: &Value) -> Option<(&'static str, Pod<'_>)> {
    let at = kinds::pod_of(object)?;
    Some((at, Pod::new(object.pointer(at)?)))
}

/// A document's text without what was added to its objects.
pub(super) fn restored(text: &str, value: &Value, objects: &[Object]) -> Result<String, String> {
    let mut removals = Vec::new();
    for object in objects.iter().filter(|object| is_injected(&object.value)) {
        let Some((at, pod)) = pod_of(&object.value) else { continue };
        of_pod(pod, &format!("{}{at}", object.at), &Restore::read(pod)?, &mut removals);
    }
    let error =
        || "its text was changed since, or has a form that cannot be restored: do it by hand".to_owned();
    let changed = Layout::new(text)
        .and_then(|layout| layout.removals(&removals))
        .and_then(|edits| edit::apply(text, edits))
        .ok_or_else(error)?;
    let mut expected = value.clone();
    removals.sort();
    // From the last item of a list to the first, and from the inside to the outside.
    for removal in removals.iter().rev() {
        take(&mut expected, removal).ok_or_else(error)?;
    }
    if document::parse(&changed).is_ok_and(|value| value == expected) { Ok(changed) } else { Err(error()) }
}

/// What is to be taken out of a Pod.
fn of_pod(pod: Pod<'_>, at: &str, restore: &Restore, removals: &mut Vec<Removal>) {
    let is_sidecar = |container: &Value| name_of(container) == CONTAINER;
    let is_volume = |volume: &Value| [CONFIG_VOLUME, SECRETS_VOLUME].contains(&name_of(volume));
    for (list, is_ours) in [
        ("initContainers", &is_sidecar as &dyn Fn(&Value) -> bool),
        ("containers", &is_sidecar),
        ("volumes", &is_volume),
    ] {
        let path = format!("{at}/spec/{list}");
        items(&path, pod.list(list), is_ours, restore.empty.get(&format!("spec/{list}")), removals);
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in pod.list(list).iter().enumerate() {
            let key = container_key(list, container);
            let Some(changed) = restore.env.get(&key) else { continue };
            let path = format!("{at}/spec/{list}/{index}/env");
            let env = container.get("env").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let is_added = |variable: &Value| matches!(changed.get(name_of(variable)), Some(None));
            items(&path, env, &is_added, restore.empty.get(&format!("{key}/env")), removals);
            for (index, variable) in env.iter().enumerate() {
                let path = format!("{path}/{index}/value");
                match changed.get(name_of(variable)) {
                    Some(Some(text)) if text.is_empty() => removals.push(Removal::Take(path)),
                    Some(Some(text)) => removals.push(Removal::Replace(path, text.clone())),
                    _ => {}
                }
            }
        }
    }
    annotations(pod, at, restore, removals);
}

/// What is to be taken out of a list; the list itself if nothing else is in it.
fn items(
    path: &str,
    items: &[Value],
    is_ours: &dyn Fn(&Value) -> bool,
    empty: Option<&String>,
    removals: &mut Vec<Removal>,
) {
    let ours: Vec<_> =
        items.iter().enumerate().filter(|(_, item)| is_ours(item)).map(|(index, _)| index).collect();
    if ours.len() < items.len() {
        removals.extend(ours.into_iter().map(|index| Removal::Take(format!("{path}/{index:06}"))));
    } else if !ours.is_empty() {
        removals.push(whole(path.to_owned(), empty));
    }
}

/// A list or mapping in which everything was added.
fn whole(path: String, empty: Option<&String>) -> Removal {
    match empty {
        Some(text) => Removal::Empty(path, text.clone()),
        None => Removal::Take(path),
    }
}

fn annotations(pod: Pod<'_>, at: &str, restore: &Restore, removals: &mut Vec<Removal>) {
    let all = pod.metadata("annotations").into_iter().flatten();
    let (ours, others): (Vec<_>, Vec<_>) = all.partition(|(name, _)| restore.is_added(name));
    let path = format!("{at}/metadata/annotations");
    if !others.is_empty() {
        removals.extend(ours.iter().map(|(name, _)| Removal::Take(format!("{path}/{}", token(name)))));
    } else if let Some(text) = restore.empty.get("metadata/annotations") {
        removals.push(Removal::Empty(path, text.clone()));
    } else if pod.has_only_annotations() {
        removals.push(whole(format!("{at}/metadata"), restore.empty.get("metadata")));
    } else {
        removals.push(Removal::Take(path));
    }
}

/// Does to a value what an edit does to its text.
fn take(value: &mut Value, removal: &Removal) -> Option<()> {
    match removal {
        Removal::Take(at) => {
            let (parent, key) = at.rsplit_once('/')?;
            match value.pointer_mut(parent)? {
                Value::Object(members) => {
                    members.remove(&super::super::operation::tokens(&format!("/{key}")).next()?).map(drop)
                }
                Value::Array(items) => {
                    let index = key.parse().ok().filter(|index| *index < items.len())?;
                    items.remove(index);
                    Some(())
                }
                _ => None,
            }
        }
        Removal::Empty(at, text) | Removal::Replace(at, text) => {
            *value.pointer_mut(at)? = document::parse(text).ok()?;
            Some(())
        }
    }
}
