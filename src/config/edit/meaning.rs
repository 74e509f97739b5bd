//! What a change must mean.

use serde_yaml::{Mapping, Value};

/// The value at a path of a mapping.
pub(super) fn get<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.as_mapping()?.get(*key))
}

/// Sets the value at a path, with the mappings that lead to it. Returns `None` if something else than a mapping is in the way.
pub(super) fn set(value: &mut Value, path: &[&str], new: Value) -> Option<()> {
    let Some((key, rest)) = path.split_first() else {
        *value = new;
        return Some(());
    };
    if value.is_null() {
        *value = Value::Mapping(Mapping::new());
    }
    let inner = value.as_mapping_mut()?.entry(Value::from(*key)).or_insert(Value::Null);
    set(inner, rest, new)
}

/// Removes the value at a path. Returns `None` if there is none.
pub(super) fn remove(value: &mut Value, path: &[&str]) -> Option<()> {
    let (key, above) = path.split_last()?;
    let mut mapping = value.as_mapping_mut()?;
    for key in above {
        mapping = mapping.get_mut(*key)?.as_mapping_mut()?;
    }
    mapping.shift_remove(*key).map(drop)
}
