//! `${NAME}` and `${NAME:-default}` in a value, replaced from the environment once the file is parsed.
//!
//! Only values: a key is what it says. What was put in is never looked at again, so a variable cannot bring
//! in another one, or any YAML. `$${` stands for `${` itself.

use std::ffi::OsString;

/// Looks a variable up in the environment; [`std::env::var_os`] outside tests.
pub type Environment<'e> = dyn Fn(&str) -> Option<OsString> + 'e;

/// Why a value cannot be put together. Says nothing of the value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreplaced {
    #[error(
        "{} is not set; set it, or give a default: `${{NAME:-default}}` (`$${{` stands for `${{` itself)",
        variable(.0)
    )]
    Unset(String),
    #[error("{} is not UTF-8 text", variable(.0))]
    NotText(String),
    #[error("`${{` without `}}`; `$${{` stands for `${{` itself")]
    Open,
    #[error("`${{…}}` takes the name of a variable: letters, digits and `_`; `$${{` stands for `${{` itself")]
    BadName,
}

/// A variable as it may be shown: what does not look like the name of one may be a secret in the wrong place.
pub(crate) fn variable(name: &str) -> String {
    let like_a_name =
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if like_a_name && !name.is_empty() {
        format!("the environment variable {name}")
    } else {
        "the environment variable named here".into()
    }
}

/// The value with its variables replaced; `None` where there are none.
pub(crate) fn replace(value: &str, environment: &Environment<'_>) -> Result<Option<String>, Unreplaced> {
    if !value.contains("${") {
        return Ok(None);
    }
    let mut whole = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        let before = &rest[..at];
        rest = &rest[at + 2..];
        if let Some(before) = before.strip_suffix('$') {
            whole.push_str(before);
            whole.push_str("${");
            continue;
        }
        whole.push_str(before);
        let end = rest.find('}').ok_or(Unreplaced::Open)?;
        whole.push_str(&lookup(&rest[..end], environment)?);
        rest = &rest[end + 1..];
    }
    whole.push_str(rest);
    Ok(Some(whole))
}

/// As in a shell, an empty variable takes the default too.
fn lookup(inside: &str, environment: &Environment<'_>) -> Result<String, Unreplaced> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !first || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(Unreplaced::BadName);
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => value.into_string().map_err(|_| Unreplaced::NotText(name.to_owned())),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unreplaced::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn replaced(value: &str) -> Result<Option<String>, Unreplaced> {
        replace(value, &|name| match name {
            "HOST" => Some("example.com".into()),
            "EMPTY" => Some("".into()),
            "SNEAKY" => Some("${HOST}".into()),
            _ => None,
        })
    }

    fn text(value: &str) -> String {
        replaced(value).unwrap().unwrap()
    }

    #[test]
    fn replaces_variables_and_defaults() {
        assert_eq!(text("https://${HOST}/${PATH_PREFIX:-v1}"), "https://example.com/v1");
        assert_eq!(text("${EMPTY:-default}${EMPTY}${NONE:-}"), "default");
        assert_eq!(replaced("plain $HOST"), Ok(None));
    }

    #[test]
    fn an_escape_stays_and_a_replaced_value_is_not_looked_at_again() {
        assert_eq!(text("$${HOST} ${HOST}"), "${HOST} example.com");
        assert_eq!(text("${SNEAKY}"), "${HOST}");
    }

    #[test]
    fn says_what_is_wrong_without_the_value() {
        assert_eq!(replaced("${NONE}"), Err(Unreplaced::Unset("NONE".into())));
        assert_eq!(replaced("a${HOST"), Err(Unreplaced::Open));
        assert_eq!(replaced("${}"), Err(Unreplaced::BadName));
        assert_eq!(replaced("${a b}"), Err(Unreplaced::BadName));
        assert!(!replaced("${hunter2}").unwrap_err().to_string().contains("hunter2"));
    }
}
