//! Replaces `${NAME}` and `${NAME:-default}` in values from the environment, after the file is parsed.
//!
//! Keys are not changed. A replaced value is not parsed again, so it cannot contain another variable or any
//! YAML. `$${` stands for `${` itself.

use std::ffi::OsString;

/// A function that returns an environment variable; [`std::env::var_os`] outside tests.
pub type Environment<'e> = dyn Fn(&str) -> Option<OsString> + 'e;

/// Why a variable could not be replaced. The text does not contain the value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InterpolationError {
    #[error(
        "{} is not set; set it, or give a default: `${{NAME:-default}}` (`$${{` stands for `${{` itself)",
        variable(.0)
    )]
    Unset(String),
    #[error("{} is not UTF-8 text", variable(.0))]
    NotText(String),
    #[error("`${{` without a closing `}}`; `$${{` stands for `${{` itself")]
    Open,
    #[error(
        "the name of a variable in `${{…}}` has only letters, digits and `_`; `$${{` stands for `${{` itself"
    )]
    BadName,
    /// A shell would replace it. It would be sent as it stands.
    #[error(
        "`$NAME` is not replaced; write `${{NAME}}`, or for a secret `{{ env: NAME }}` (a value that is really this text can come \
         from a variable or a file)"
    )]
    ShellVariable,
    #[error("`$(…)` is not run; for a secret write `{{ exec: [COMMAND, …] }}`")]
    ShellCommand,
}

/// A variable for a message. A text that does not look like the name of a variable may be a secret in the
/// wrong place, and is not shown.
pub(crate) fn variable(name: &str) -> String {
    let like_a_name =
        name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    if like_a_name && !name.is_empty() {
        format!("the environment variable {name}")
    } else {
        "the environment variable named here".into()
    }
}

/// The value with its variables replaced; `None` if it has none.
pub(crate) fn replace(
    value: &str,
    environment: &Environment<'_>,
) -> Result<Option<String>, InterpolationError> {
    if !value.contains("${") {
        return if let Some(error) = of_shell(value) { Err(error) } else { Ok(None) };
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
        let end = rest.find('}').ok_or(InterpolationError::Open)?;
        whole.push_str(&lookup(&rest[..end], environment)?);
        rest = &rest[end + 1..];
    }
    whole.push_str(rest);
    Ok(Some(whole))
}

/// The names of the variables in a value, whether they are set or not.
pub(crate) fn names(value: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find("${") {
        let is_escaped = rest[..at].ends_with('$');
        rest = &rest[at + 2..];
        let Some(end) = rest.find('}') else { break };
        let inside = &rest[..end];
        if !is_escaped {
            names.push(inside.split_once(":-").map_or(inside, |(name, _)| name));
        }
    }
    names
}

/// The error about a value that is a variable or a command to a shell, and nothing else: `$NAME`, `$(…)`. Lower-case letters may
/// be a password.
fn of_shell(value: &str) -> Option<InterpolationError> {
    let name = value.trim().strip_prefix('$')?;
    if name.starts_with('(') && name.ends_with(')') {
        return Some(InterpolationError::ShellCommand);
    }
    let is_name = name.len() > 1
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_name.then_some(InterpolationError::ShellVariable)
}

/// The value of one variable. As in a shell, the default also replaces an empty variable.
fn lookup(inside: &str, environment: &Environment<'_>) -> Result<String, InterpolationError> {
    let (name, default) = match inside.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inside, None),
    };
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if !first || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        return Err(InterpolationError::BadName);
    }
    match (environment(name), default) {
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => value.into_string().map_err(|_| InterpolationError::NotText(name.to_owned())),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(InterpolationError::Unset(name.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn replaced(value: &str) -> Result<Option<String>, InterpolationError> {
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
    fn variables_and_defaults_are_replaced() {
        assert_eq!(text("https://${HOST}/${PATH_PREFIX:-v1}"), "https://example.com/v1");
        assert_eq!(text("${EMPTY:-default}${EMPTY}${NONE:-}"), "default");
        assert_eq!(replaced("plain $HOST"), Ok(None));
    }

    #[test]
    fn replaced_values_are_not_parsed_again() {
        assert_eq!(text("$${HOST} ${HOST}"), "${HOST} example.com");
        assert_eq!(text("${SNEAKY}"), "${HOST}");
    }

    #[test]
    fn what_a_shell_would_replace_is_an_error() {
        for text in ["$HOST", "$GITHUB_TOKEN", " $A1 ", "$_X"] {
            assert_eq!(replaced(text), Err(InterpolationError::ShellVariable), "{text}");
        }
        assert_eq!(replaced("$(cat /run/token)"), Err(InterpolationError::ShellCommand));
        for text in ["$", "$A", "$1A", "$ecret", "$HOST/x", "a$HOST", "US$", "$HOST $PORT"] {
            assert_eq!(replaced(text), Ok(None), "{text}");
        }
    }

    #[test]
    fn interpolation_error_does_not_contain_the_value() {
        assert_eq!(replaced("${NONE}"), Err(InterpolationError::Unset("NONE".into())));
        assert_eq!(replaced("a${HOST"), Err(InterpolationError::Open));
        assert_eq!(replaced("${}"), Err(InterpolationError::BadName));
        assert_eq!(replaced("${a b}"), Err(InterpolationError::BadName));
        assert!(!replaced("${hunter2}").unwrap_err().to_string().contains("hunter2"));
    }
}
