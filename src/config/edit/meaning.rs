//! What a change must mean.

use serde_yaml::{Mapping, Value};

/// The value at a path. A step is the key of a mapping, or the place in a list, counted from 0.
pub(super) fn get<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, step| match value {
        Value::Sequence(items) => items.get(step.parse::<usize>().ok()?),
        value => value.as_mapping()?.get(*step),
    })
}

/// Sets the value at a path, with the mappings that lead to it. Returns `None` if something else is in the way, or a list is too
/// short.
pub(super) fn set(value: &mut Value, path: &[&str], new: Value) -> Option<()> {
    let Some((step, rest)) = path.split_first() else {
        *value = new;
        return Some(());
    };
    if value.is_null() {
        *value = Value::Mapping(Mapping::new());
    }
    let inner = match value {
        Value::Sequence(items) => items.get_mut(step.parse::<usize>().ok()?)?,
        value => value.as_mapping_mut()?.entry(Value::from(*step)).or_insert(Value::Null),
    };
    set(inner, rest, new)
}

/// Removes the entry of a mapping at a path. Returns `None` if there is none.
pub(super) fn remove(value: &mut Value, path: &[&str]) -> Option<()> {
    let (key, above) = path.split_last()?;
    let holder = above.iter().try_fold(value, |value, step| match value {
        Value::Sequence(items) => items.get_mut(step.parse::<usize>().ok()?),
        value => value.as_mapping_mut()?.get_mut(*step),
    })?;
    holder.as_mapping_mut()?.shift_remove(*key).map(drop)
}
