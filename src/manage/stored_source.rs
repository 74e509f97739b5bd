//! Where a secret of a store is, as one text: `vault:secret/crm#token`, `aws_secrets_manager/prod:crm#token`.

use serde_yaml::{Mapping, Value};

use crate::config::edit::entry;

/// What a text of this form looks like, for messages.
pub const STORED_SOURCE: &str = "`vault:PATH#FIELD` or `aws_secrets_manager:ID#FIELD`, with `/STORE` before the colon if there are several stores";

/// The source of a secret, as the services file has it: the kind of store, the name of the store if one is given, and the place in it.
/// `None` if the text has another form.
pub fn stored_source(text: &str) -> Option<Value> {
    let (store, place) = text.split_once(':')?;
    let (kind, store) = store.split_once('/').map_or((store, None), |(kind, store)| (kind, Some(store)));
    let (place, field) = place.split_once('#').map_or((place, None), |(place, field)| (place, Some(field)));
    let (key, needs_field) = match kind {
        "vault" => ("path", true),
        "aws_secrets_manager" => ("id", false),
        _ => return None,
    };
    let is_given = |part: &str| !part.is_empty() && !part.chars().any(char::is_control);
    let parts = [Some(place), field, store];
    if !parts.into_iter().flatten().all(is_given) || (needs_field && field.is_none()) {
        return None;
    }
    let keys = [(key, Some(place)), ("field", field), ("store", store)];
    // A `$` would begin a variable.
    let given = keys.into_iter().filter_map(|(name, value)| Some((name, value?.replace("${", "$${"))));
    let source: Mapping = given.map(|(name, value)| (name.into(), value.into())).collect();
    Some(entry(kind, Value::Mapping(source)))
}

/// The text of a source; `None` if it is none of a store.
pub(super) fn of_source(source: &Value) -> Option<String> {
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (kind, value, key) = match (source.get("vault"), source.get("aws_secrets_manager")) {
        (Some(value), _) => ("vault", value, "path"),
        (None, Some(value)) => ("aws_secrets_manager", value, "id"),
        (None, None) => return None,
    };
    let store = text(value, "store").map_or_else(String::new, |store| format!("/{store}"));
    let field = text(value, "field").map_or_else(String::new, |field| format!("#{field}"));
    Some(format!("{kind}{store}:{}{field}", text(value, key).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_of_a_store_is_one_text() {
        for (text, yaml) in [
            ("vault:secret/crm#token", "vault:\n  path: secret/crm\n  field: token"),
            ("vault/prod:secret/a:b#c", "vault:\n  path: secret/a:b\n  field: c\n  store: prod"),
            ("aws_secrets_manager:prod/crm@1", "aws_secrets_manager:\n  id: prod/crm@1"),
            (
                "aws_secrets_manager/eu:arn:aws:x#k",
                "aws_secrets_manager:\n  id: arn:aws:x\n  field: k\n  store: eu",
            ),
        ] {
            let source = stored_source(text).unwrap();
            assert_eq!(serde_yaml::to_string(&source).unwrap().trim(), yaml);
            assert_eq!(of_source(&source).as_deref(), Some(text));
        }
        for wrong in [
            "vault:secret/crm",
            "vault:#a",
            "vault:a#",
            "vault/:a#b",
            "file:/x",
            "vault",
            "aws_secrets_manager:",
            "vault:a\n#b",
        ] {
            assert_eq!(stored_source(wrong), None, "{wrong}");
        }
    }
}
